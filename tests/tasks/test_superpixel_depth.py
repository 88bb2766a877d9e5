"""Depth of superpixels: what the network is given, the likelihood, the way back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors
from dpjax.data.superpixels import cache, front_end
from dpjax.models import dcnf, zoo
from dpjax.tasks import superpixel_depth

SIZE = (64, 96)
DATA = config.Data(("x",), ("y",), crop=SIZE, batch_size=2)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def task_of(**changes):
    return superpixel_depth.SuperpixelDepth(
        **{
            "size": SIZE,
            "superpixels": front_end.Settings(size=8),
            "mirror": False,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def record(photo):
    metres = (1 + photo.mean(-1) / 64).astype(np.float32)
    return {"image": photo, "depth": metres, "id": "chelsea", "source": "x:train"}


def batch_of(task, record, count=2):
    examples = [
        task.train_example(record, np.random.default_rng([1, i]), DATA)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


def test_batches_are_as_planned_and_as_the_network_wants_them(record):
    task = task_of()
    batch = batch_of(task, record)
    planned = task.batch_spec(DATA, 2)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in planned.items()
    }
    inputs, _ = task.inputs(batch, None, DATA)
    wanted = dcnf.Dcnf(unary=None).example_inputs()
    assert {k: (v.ndim, v.dtype) for k, v in inputs.items()} == {
        k: (v.ndim, v.dtype) for k, v in wanted.items()
    }
    given = task.evaluation_input(record, "", "all_pixels")
    assert {k: (v.ndim + 1, v.dtype) for k, v in given.items()} == {
        k: (v.ndim, v.dtype) for k, v in wanted.items()
    }
    np.testing.assert_array_equal(given["regions"], batch["regions"][0])


def test_an_image_is_cut_once(record, monkeypatch):
    task = task_of()
    first = task.evaluation_input(record, "", "all_pixels")
    assert len(list(cache.default_folder().iterdir())) == 1

    def refuse(*_):
        raise AssertionError("cut again")

    monkeypatch.setattr(front_end, "compute", refuse)
    second = task.evaluation_input(record, "", "all_pixels")
    np.testing.assert_array_equal(first["similarities"], second["similarities"])


def test_mirrored_images_have_mirrored_depth(record):
    plain = batch_of(task_of(target="mean"), record, 1)
    mirrored = task_of(mirror=True, target="mean")
    seen = [
        mirrored.train_example(record, np.random.default_rng(i), DATA) for i in range(8)
    ]
    turned = [e for e in seen if not np.array_equal(e["image"], plain["image"][0])]
    assert 0 < len(turned) < 8
    np.testing.assert_array_equal(turned[0]["image"], plain["image"][0][:, ::-1])
    # Nearly the same superpixels, so the same depths on average.
    means = [
        e["log_depth"][e["labelled"]].mean()
        for e in (turned[0], {k: v[0] for k, v in plain.items()})
    ]
    assert means[0] == pytest.approx(means[1], abs=0.02)


def _outputs(batch, seed=0, tau=3.0):
    rng = np.random.default_rng(seed)
    valid = batch["region_valid"]
    return {
        "unary": np.where(valid, rng.random(valid.shape), 0).astype(np.float32),
        "mean": np.where(valid, rng.random(valid.shape), 0).astype(np.float32),
        "edge_weights": (5 * batch["similarities"].sum(-1)).astype(np.float32),
        "tau": np.full(len(valid), tau, np.float32),
    }


def test_the_loss_is_the_exact_likelihood_of_labelled_superpixels(record):
    task = task_of(depth_range=(0.8, 6.0))
    batch = batch_of(task, record)
    batch["labelled"][1, ::3] = False
    outputs = _outputs(batch)
    total, count = task.loss_terms(
        {k: jnp.asarray(v) for k, v in outputs.items()}, batch
    )["loss"]
    low, high = np.log([0.8, 6.0])
    for b in range(2):
        n = int(batch["region_valid"][b].sum())
        a = np.eye(n)
        for (p, q), r in zip(
            batch["edges"][b],
            outputs["edge_weights"][b].astype(np.float64),
            strict=True,
        ):
            if p != q:
                a[p, p] += r
                a[q, q] += r
                a[p, q] -= r
                a[q, p] -= r
        known = batch["labelled"][b, :n]
        y = (batch["log_depth"][b, :n].astype(np.float64) - low) / (high - low)
        mean = np.linalg.solve(a, outputs["unary"][b, :n].astype(np.float64))
        # A marginal of a Gaussian is the Gaussian of a part of its covariance.
        covariance = np.linalg.inv(a)[np.ix_(known, known)] / (2 * 3.0)
        r = (y - mean)[known]
        wanted = 0.5 * (
            r @ np.linalg.solve(covariance, r)
            + np.linalg.slogdet(2 * np.pi * covariance)[1]
        )
        assert count[b] == known.sum()
        assert total[b] == pytest.approx(wanted, rel=1e-4)


def test_without_a_crf_the_loss_is_the_square_error(record):
    task = task_of()
    batch = batch_of(task, record)
    batch["valid"][1] = False
    outputs = {k: jnp.asarray(_outputs(batch)[k]) for k in ("unary", "mean")}
    total, count = task.loss_terms(outputs, batch)["loss"]
    low, high = np.log(task.depth_range)
    y = (batch["log_depth"][0] - low) / (high - low)
    known = batch["labelled"][0]
    wanted = ((np.asarray(outputs["unary"][0]) - y)[known] ** 2).sum()
    assert total[0] == pytest.approx(wanted, rel=1e-4)
    np.testing.assert_array_equal(count, [known.sum(), 0])
    assert total[1] == 0


def test_sparse_depth_labels_few_superpixels_and_none_is_no_loss(record):
    sparse = {**record, "depth": np.zeros_like(record["depth"])}
    sparse["depth"][150, 200] = 2.0
    task = task_of(target="median")
    assert batch_of(task, sparse)["labelled"].sum(1).max() <= 1
    empty = {**record, "depth": np.zeros_like(record["depth"])}
    batch = batch_of(task, empty)
    outputs = {k: jnp.asarray(v) for k, v in _outputs(batch).items()}
    total, count = task.loss_terms(outputs, batch)["loss"]
    np.testing.assert_array_equal(total, [0, 0])
    np.testing.assert_array_equal(count, [0, 0])


def test_superpixels_with_little_known_depth_are_not_learned_from(record):
    sparse = {**record, "depth": np.zeros_like(record["depth"])}
    sparse["depth"][::9, ::9] = 2.0
    few, many = (
        batch_of(task_of(target="median", least_known=n), sparse)["labelled"].sum()
        for n in (3, 1)
    )
    assert few < many


@pytest.mark.parametrize("crf", dcnf.Crf.__args__)
@pytest.mark.parametrize("back_projection", ["none", "colorize", "guided"])
def test_an_image_of_one_superpixel_is_learned_and_answered(
    record, crf, back_projection
):
    task = task_of(
        superpixels=front_end.Settings(size=200),
        target="median",
        back_projection=back_projection,
    )
    batch = batch_of(task, record)
    assert batch["region_valid"].sum() == 2  # one in each of two images
    network = zoo.create_module(
        "dcnf_fcsp",
        widths=(2,) * 5,
        extra_widths=(2,),
        tail_widths=(2,),
        crf=crf,
        compute_dtype="float32",
    )
    inputs, batch = task.inputs(batch, jax.random.split(jax.random.key(0)), DATA)
    variables = network.init(jax.random.key(1), inputs)
    outputs = network.apply(variables, inputs)
    np.testing.assert_allclose(outputs["mean"], outputs["unary"], rtol=1e-6)
    total, count = task.loss_terms(outputs, batch)["loss"]
    np.testing.assert_array_equal(count, [1, 1])
    low, high = np.log(task.depth_range)
    y = (batch["log_depth"][:, 0] - low) / (high - low)
    error = np.square(np.asarray(outputs["unary"])[:, 0] - y)
    wanted = error if crf == "none" else error + np.log(np.pi) / 2
    np.testing.assert_allclose(total, wanted, rtol=1e-5)
    given = task.evaluation_input(record, "", "all_pixels")
    found = task.predicted(given, {k: np.asarray(v[0]) for k, v in outputs.items()})
    assert np.ptp(found.depth) == 0
    value = np.clip(float(outputs["mean"][0, 0]), 0, 1)
    assert found.depth[0, 0] == pytest.approx(np.exp(low + (high - low) * value), 1e-5)


def test_labels_come_back_from_the_network_s_numbers_and_keep_their_order(record):
    """Identity 19: ln d to y in [0, 1] and back, inside the range."""
    task = task_of(depth_range=(0.5, 10.0))
    given = task.evaluation_input(record, "", "all_pixels")
    count = int(given["region_valid"].sum())
    metres = np.geomspace(0.5, 10.0, count)
    low, high = np.log(task.depth_range)
    y = (np.log(metres) - low) / (high - low)
    np.testing.assert_allclose(y[[0, -1]], [0, 1], atol=1e-12)
    padded = np.zeros(len(given["region_valid"]))
    padded[:count] = y
    found = task.predicted(given, {"mean": padded}).depth
    np.testing.assert_allclose(found, metres[given["regions"]], rtol=1e-6)
    assert (np.diff([found[given["regions"] == p][0] for p in range(count)]) > 0).all()
    # What the loss compares is that y: no loss where the network says it.
    batch = batch_of(task_of(depth_range=(0.5, 10.0), target="median"), record)
    y = (batch["log_depth"] - low) / (high - low)
    exact = {k: jnp.asarray(y, jnp.float32) for k in ("unary", "mean")}
    terms = task.loss_terms(exact, batch)
    np.testing.assert_allclose(terms["loss"][0] / terms["loss"][1], 0, atol=1e-12)
    np.testing.assert_allclose(terms["log_error"][0] / count, 0, atol=1e-6)


def test_answers_are_metres_and_deviations_of_logarithms_by_superpixel(record):
    task = task_of(depth_range=(0.5, 8.0), limits=(0.1, 100.0))
    given = task.evaluation_input(record, "", "all_pixels")
    count = len(given["region_valid"])
    rng = np.random.default_rng(0)
    output = {
        "mean": rng.uniform(-0.2, 1.2, count).astype(np.float32),
        "deviation": rng.random(count).astype(np.float32),
    }
    found = task.predicted(given, output)
    wanted = 0.5 * 16 ** np.clip(output["mean"], 0, 1)
    np.testing.assert_allclose(found.depth, wanted[given["regions"]], rtol=1e-5)
    np.testing.assert_allclose(
        found.deviation, np.log(16) * output["deviation"][given["regions"]], rtol=1e-5
    )
    assert task.predicted(given, {"mean": output["mean"]}).deviation is None


def test_weights_of_another_range_are_not_scored():
    task = task_of(depth_range=(0.5, 10.0))
    task.check_trained(task_of(depth_range=(0.5, 10.0), back_projection="guided"))
    with pytest.raises(errors.UserError, match=r"depth_range=\(1\.0, 80\.0\), this"):
        task.check_trained(task_of(depth_range=(1.0, 80.0)))


def test_a_photograph_is_answered_with_its_deviation_in_metres(photo):
    task = task_of(back_projection="guided")
    (given,), finish = task.request(photo.astype(np.float32) / 255, {})
    count = len(given["region_valid"])
    output = {
        "mean": np.linspace(0, 1, count, dtype=np.float32),
        "deviation": np.full(count, 0.1, np.float32),
    }
    maps = finish([output]).maps
    assert set(maps) == {"depth", "deviation"}
    ratio = maps["deviation"] / maps["depth"]
    np.testing.assert_allclose(ratio, 0.1 * np.log(20), rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (32, 32)}, r"task.size must be data.crop, \(64, 96\)"),
        ({"zooms": (1.0, 2.0)}, "task.zooms must be 1 and 1"),
        ({"least_known": 2}, "task.least_known must be at least 1, and 1 with"),
        ({"depth_range": (2.0, 1.0)}, "task.depth_range must be rising"),
        ({"unit": "metres", "loss": "l1"}, "task.unit must be log_metres"),
        ({"superpixels": front_end.Settings(size=1)}, "there is room for 1024"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    task = task_of(**changes)
    run = config.Experiment(
        task=task,
        model=config.Model("dcnf_fcsp"),
        data=DATA,
        optim=config.Optim(nonnegative=("crf/beta",)),
        evaluation=config.Evaluation("all_pixels"),
        record=config.Record(),
        total_steps=10,
    )
    with pytest.raises(errors.UserError, match=message):
        task.check(run)
    if changes.get("size"):
        other = dataclasses.replace(run, task=task_of())
        other = dataclasses.replace(other, model=config.Model("fcrn_resnet50"))
        with pytest.raises(errors.UserError, match="a network over superpixels"):
            other.task.check(other)
