"""Relative depth: pairs on the device, hidden metres, losses against plain loops."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors, tasks
from dpjax.tasks import relative_depth

SIZE = (24, 32)
DATA = config.Data(("x",), ("y",), crop=SIZE, batch_size=2)
KEYS = jax.random.split(jax.random.key(0), 2)


def task_of(**changes):
    return relative_depth.RelativeDepth(**{"pairs": 60, "mirror": False, **changes})


def experiment(task, model=None, protocol="dense"):
    return config.Experiment(
        task=task,
        model=model or config.Model("redweb_resnet50"),
        data=DATA,
        optim=config.Optim(),
        evaluation=config.Evaluation(protocol),
        total_steps=10,
    )


@pytest.fixture(scope="module")
def record(photo):
    """A photograph whose depth is its brightness, missing in the first rows."""
    metres = (1 + photo.mean(-1) / 64).astype(np.float32)
    metres[:20] = 0
    disparity = np.where(metres > 0, 5 - 3 * metres, np.nan).astype(np.float32)
    return {
        "image": photo,
        "depth": metres,
        "disparity": disparity,
        "id": "chelsea",
        "source": "x:train",
    }


def batch_of(task, record, count=2, seed=1):
    examples = [
        task.train_example(record, np.random.default_rng([seed, i]), DATA)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


def drawn(task, batch):
    _, found = task.inputs(batch, KEYS, DATA)
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.parametrize("target", ["depth", "disparity"])
def test_crops_have_the_planned_shapes_and_show_what_the_picture_shows(record, target):
    task = task_of(target=target, loss="rdis", zooms=(1.0, 1.2))
    batch = batch_of(task, record)
    planned = task.batch_spec(DATA, 2)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in planned.items()
    }
    for image, found, known in zip(
        batch["image"], batch["target"], batch["has_target"], strict=True
    ):
        assert known.any()
        bright = 1 + image.mean(-1) / 64
        want = (
            bright / np.median(bright[known]) if target == "depth" else 5 - 3 * bright
        )
        # Resized pictures are blended, maps are not.
        most = 0.05 if target == "depth" else 0.15
        assert np.median(np.abs(found - want)[known]) < most
        assert (found[~known] == 0).all()


def test_metres_are_hidden_from_everything_but_their_order(record):
    task = task_of(zooms=(1.0, 1.0))
    feet = {**record, "depth": record["depth"] * np.float32(3.28)}
    one, other = batch_of(task, record), batch_of(task, feet)
    np.testing.assert_allclose(one["target"], other["target"], rtol=1e-5)
    assert np.median(one["target"][0][one["has_target"][0]]) == pytest.approx(1)


@pytest.mark.parametrize("loss", relative_depth.Loss.__args__)
def test_no_loss_changes_if_all_depths_are_multiplied(record, loss):
    task = task_of(
        loss=loss, gradient=0.5 if loss in ("sgr", "affine_invariant") else 0.0
    )
    batch = drawn(task, batch_of(task, record))
    outputs = np.random.default_rng(0).normal(size=(2, *SIZE, 1)).astype(np.float32)
    before = task.loss_terms(jnp.asarray(outputs), batch)
    # A power of 2 rounds nothing, so that ratios at the threshold stay there.
    after = task.loss_terms(
        jnp.asarray(outputs), {**batch, "target": 4 * batch["target"]}
    )
    np.testing.assert_allclose(before["loss"], after["loss"], rtol=1e-4)
    np.testing.assert_array_equal(before["wrong_order"], after["wrong_order"])
    assert (np.asarray(before["loss"])[0] > 0).all()


def test_as_many_pairs_as_asked_for_lie_on_known_pixels_and_follow_the_key(record):
    task = task_of(pairs=200)
    plain = batch_of(task, record)
    plain["has_target"][1, 5:] = False
    plain["has_target"][1, :5] = True
    batch = drawn(task, plain)
    for name in ("first", "second", "weight"):
        assert batch[name].shape == (2, 200)
    known = plain["has_target"].reshape(2, -1)
    for b in range(2):
        assert known[b][batch["first"][b]].all()
        assert known[b][batch["second"][b]].all()
    assert (batch["first"] != batch["second"]).all()
    again = drawn(task, plain)
    np.testing.assert_array_equal(batch["first"], again["first"])
    assert (batch["first"][0] != batch["first"][1]).mean() > 0.9
    jittered = drawn(dataclasses.replace(task, jitter=0.4), plain)
    np.testing.assert_array_equal(batch["first"], jittered["first"])


def test_half_of_the_pairs_go_across_edges_if_asked_for(record):
    task = task_of(sampler="edges", pairs=61)
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, 16:] = 255
    batch = batch_of(task, record)
    batch["image"][:], batch["has_target"][:] = image, True
    found = drawn(task, batch)
    assert found["first"].shape == (2, 61)
    counts = found["weight"][:, 10:20] > 0  # second of the three pairs of a line
    assert counts.any()
    first, second = (found[name][:, 10:20] % 32 for name in ("first", "second"))
    assert ((first < 16) != (second < 16))[counts].all()


def _pair_costs(task, outputs, batch, b):
    """Relation and cost of each pair of one example, one by one, float64."""
    f = outputs[b, ..., 0].ravel().astype(np.float64)
    g = batch["target"][b].ravel().astype(np.float64)
    known = batch["has_target"][b].ravel()
    if task.target == "depth" and task.loss == "rdis":
        g = 1 / np.where(known, g, 1)
    low, high = np.quantile(g[known], [0.02, 0.98])
    relations, costs = [], []
    for i, j in zip(batch["first"][b], batch["second"][b], strict=True):
        if task.loss == "rdis" or task.target == "disparity":
            far = abs(g[i] - g[j]) > 0.02 * (high - low)
            r = -np.sign(g[i] - g[j]) if far else 0
        else:
            r = int(g[i] / g[j] >= 1.02) - int(g[j] / g[i] >= 1.02)
        d = f[i] - f[j]
        relations.append(r)
        costs.append(np.log1p(np.exp(-r * d)) if r else d * d)
    return np.array(relations), np.array(costs)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        ("diw", "depth"),
        ("diw", "disparity"),
        ("rdis", "depth"),
        ("rdis", "disparity"),
        ("redweb", "depth"),
        ("sgr", "depth"),
    ],
)
def test_the_loss_of_pairs_is_that_of_a_loop(record, loss, target):
    task = task_of(loss=loss, target=target)
    batch = drawn(task, batch_of(task, record, seed=3))
    batch["valid"][1] = False
    outputs = np.random.default_rng(0).normal(size=(2, *SIZE, 1)).astype(np.float32)
    found = task.loss_terms(jnp.asarray(outputs), batch)
    relation, cost = _pair_costs(task, outputs, batch, 0)
    ordered = relation != 0
    assert 0 < ordered.sum() < 60
    want, count = cost.sum(), 60
    if loss == "redweb":
        worst = np.sort(cost[ordered])[-round(0.75 * ordered.sum()) :]
        want, count = worst.mean() + cost[~ordered].mean(), 1
    elif loss == "sgr":
        want, count = cost.mean(), 1
    assert found["loss"][0][0] == pytest.approx(want, rel=1e-4)
    assert found["loss"][1][0] == count
    f = outputs[0].ravel()
    d = f[batch["first"][0]] - f[batch["second"][0]]
    np.testing.assert_array_equal(
        [x[0] for x in found["wrong_order"]],
        [(ordered & (relation * d <= 0)).sum(), ordered.sum()],
    )


@pytest.mark.parametrize("loss", relative_depth.Loss.__args__)
def test_padding_and_images_without_truth_move_nothing(record, loss):
    task = task_of(loss=loss)
    batch = batch_of(task, record)
    batch["valid"][1] = False
    batch = drawn(task, batch)
    outputs = np.random.default_rng(0).normal(size=(2, *SIZE, 1)).astype(np.float32)

    def slope(b):
        return jax.grad(lambda x: task.loss_terms(x, b)["loss"][0].sum())(outputs)

    moved = np.abs(np.asarray(slope(batch))).sum((1, 2, 3))
    assert moved[0] > 0
    assert moved[1] == 0
    plain = batch_of(task, record)
    plain["has_target"][:] = False
    empty = drawn(task, plain)
    np.testing.assert_array_equal(slope(empty), 0)
    for total, count in task.loss_terms(outputs, empty).values():
        np.testing.assert_array_equal(total, 0)
        np.testing.assert_array_equal(count, 0)


def test_coarse_outputs_are_enlarged_to_the_pixels_of_the_pairs(record):
    task = task_of(upsampling="align_corners", loss="diw")
    batch = drawn(task, batch_of(task, record))
    ramp = np.linspace(0, 1, 5, dtype=np.float32)
    coarse = np.broadcast_to(ramp[None, None, :, None], (2, 4, 5, 1))
    fine = np.linspace(0, 1, 32, dtype=np.float32)
    fine = np.broadcast_to(fine[None, None, :, None], (2, *SIZE, 1))
    one, other = (task.loss_terms(jnp.asarray(x), batch) for x in (coarse, fine))
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-4)


@pytest.mark.parametrize("target", ["depth", "disparity"])
def test_the_truth_is_scored_as_in_order(record, target):
    task = task_of(target=target, loss="rdis")
    far = record["depth"][..., None]
    given = task.evaluation_input(record, "", "dense")
    row = task.score(record, "", given, far, "dense")
    other = task.score(record, "", given, -far, "dense")
    assert row["whdr"] == 0
    assert task.summarise([row, other])["whdr_image"] == 0.5
    found = task.tables([row, other])
    lines = {line[0]: line[1:] for line in found["scores"].lines}
    assert lines["whdr_image"][0] == 0.5
    assert lines["whdr_image"][1] <= 0.5 <= lines["whdr_image"][2]
    assert found["thresholds"].header[0] == "threshold"
    steps = np.diff([line[0] for line in found["thresholds"].lines])
    np.testing.assert_allclose(steps, 0.1)
    page = task.panel(record, "", given, far, row, "dense")
    assert page.dtype == np.uint8


def test_pairs_that_people_judged_are_scored_at_the_size_of_the_picture(record):
    height, width = record["image"].shape[:2]
    judged = {
        "image": record["image"],
        "id": "judged",
        "points": np.array([[[0, 0], [height - 1, width - 1]]], np.int32),
        "relation": np.array([-1], np.int32),
    }
    task = task_of(size=(30, 40))
    given = task.evaluation_input(judged, "", "points")
    assert given.shape == (30, 40, 3)
    ramp = np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40, 1)
    row = task.score(judged, "", given, ramp, "points")
    assert row["whdr"] == 0
    assert task.panel(judged, "", given, ramp, row, "points").ndim == 3
    with pytest.raises(errors.DataError, match="judged has no depth to put points in"):
        task.score(judged, "", given, ramp, "dense")
    with pytest.raises(errors.DataError, match="chelsea has no pairs of points"):
        task.score(record, "", given, ramp, "points")


def test_only_disparities_that_are_sure_enough_count(record):
    sure = np.zeros(record["depth"].shape, np.float32)
    sure[100:200] = 0.8
    given = {**record, "confidence": sure}
    task = task_of(target="disparity", loss="rdis", least_confidence=0.5)
    seen = task.score(given, "", record["image"], record["depth"][..., None], "dense")
    inside = np.isfinite(record["disparity"][100:200]).sum()
    assert seen["counts"]["order"][0] <= 0.6 * inside
    none = task_of(target="disparity", loss="rdis", least_confidence=0.9)
    batch = batch_of(none, given)
    assert not batch["has_target"].any()


def test_a_photograph_is_answered_by_numbers_of_no_unit(photo):
    (given,), finish = task_of(size=(30, 40)).request(
        photo.astype(np.float32) / 255, {}, image_size=(30, 40)
    )
    assert given.shape == (30, 40, 3)
    ramp = np.linspace(-3, 5, 1200, dtype=np.float32).reshape(30, 40, 1)
    shown = finish([ramp])
    found = shown.maps["relative_depth"]
    assert found.dtype == np.float32
    assert found.shape == photo.shape[:2]
    assert shown.picture.shape[0] > photo.shape[0]
    np.testing.assert_allclose([found.min(), found.max()], [-3, 5], rtol=1e-5)
    with pytest.raises(errors.UserError, match="no option 'scale'"):
        task_of().request(photo.astype(np.float32) / 255, {"scale": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "l1"}, "task.loss must be one of diw, redweb, sgr, rdis"),
        ({"target": "disparity"}, "none of redweb, sgr with disparities"),
        ({"target": "metres"}, "task.target must be one of depth, disparity"),
        ({"pairs": 0}, "task.pairs must be at least 6"),
        ({"sampler": "hard"}, "task.sampler must be one of random, edges"),
        ({"threshold": 0.0}, "task.threshold must be above 0"),
        ({"keep": 0.0}, r"task.keep must be in \(0, 1\]"),
        ({"gradient": 0.2}, "0 but for sgr and affine_invariant"),
        ({"upsampling": "cubic"}, "half_pixel or align_corners"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    run = experiment(task_of(**changes))
    with pytest.raises(errors.UserError, match=message):
        run.task.check(run)


def test_networks_of_other_numbers_are_refused():
    task = task_of()
    task.check(experiment(task))
    task.check(experiment(task, protocol="points"))
    for model, message in (
        (config.Model("rednet10"), "Relative depth wants a network that gives one num"),
        (config.Model("redweb_resnet50", {"num_classes": 9}), "the network gives 9"),
        (config.Model("redweb_resnet50", {"crf": "grid"}), "the CRF 'grid' joins"),
    ):
        with pytest.raises(errors.UserError, match=message):
            task.check(experiment(task, model))
    with pytest.raises(errors.UserError, match="relative_depth protocol"):
        task.check(experiment(task, protocol="nyu_eigen"))


def test_records_that_order_nothing_are_refused_by_name(record):
    class Part(list):
        name = "camvid:train"

    class Opened(list):
        def __init__(self, records):
            super().__init__(records)
            self.parts = [Part(records)]

    task = task_of()
    assert task.with_records([Opened([record])]) is task
    pairs = {"image": record["image"], "points": 0, "id": "x"}
    assert task.with_records([Opened([pairs])]) is task
    plain = {"image": record["image"], "id": "x"}
    with pytest.raises(
        errors.DataError, match="camvid:train has no depth and no pairs"
    ):
        task.with_records([Opened([plain])])


def test_a_card_keeps_the_task():
    run = experiment(task_of(loss="sgr", gradient=0.2))
    written = json.loads(json.dumps(config.encode(run)))
    assert config.decode(written["task"], tasks.TYPES) == run.task
