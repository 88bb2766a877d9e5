"""The depth task: zoomed crops, losses of logarithms, every protocol in one run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors
from dpjax.data import crop_window
from dpjax.models import zoo
from dpjax.tasks import depth, depth_protocols

DATA = config.Data(("x",), ("y",), crop=(48, 64), batch_size=4)


def experiment(task, model=None):
    return config.Experiment(
        task=task,
        model=model or config.Model("fcrn_resnet50"),
        data=DATA,
        optim=config.Optim(),
        evaluation=config.Evaluation("all_pixels"),
        record=config.Record(),
        total_steps=10,
    )


@pytest.fixture(scope="module")
def record(photo):
    """A photograph whose depth is its brightness, missing in the first rows."""
    metres = (1 + photo.mean(-1) / 64).astype(np.float32)
    metres[:20] = 0
    return {"image": photo, "depth": metres, "id": "chelsea", "source": "x:train"}


def batch_of(task, record, count=4):
    examples = [
        task.train_example(record, np.random.default_rng([1, i]), DATA)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


def test_crops_have_the_planned_shapes_and_what_is_enlarged_is_nearer(record):
    task = depth.Depth(zooms=(2.0, 2.0))
    batch = batch_of(task, record)
    planned = task.batch_spec(DATA, 4)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in planned.items()
    }
    known = batch["has_depth"]
    assert 0 < known.mean() <= 1
    # Depth follows from the picture: at zoom 2 it is half of what it was.
    wanted = (1 + batch["image"].mean(-1) / 64) / 2
    assert np.median(np.abs(batch["depth"] - wanted)[known]) < 0.02
    assert (batch["depth"][~known] == 0).all()


@pytest.mark.parametrize("loss", depth.Loss.__args__)
def test_losses_see_known_pixels_of_real_examples_only(record, loss):
    task = depth.Depth(loss=loss)
    batch = batch_of(task, record)
    batch["has_depth"][:, 30:] = False
    batch["valid"][3] = False
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(4, 48, 64, 1)).astype(np.float32)
    before = task.loss_terms(jnp.asarray(outputs), batch)
    changed = np.where(batch["has_depth"][..., None], outputs, 1e3)
    changed[3] = 7
    after = task.loss_terms(jnp.asarray(changed), batch)
    np.testing.assert_allclose(before["loss"], after["loss"], rtol=1e-5)
    assert (np.asarray(before["loss"])[:, 3] == 0).all()
    known = batch["has_depth"] & batch["valid"][:, None, None]
    e = np.abs(outputs[..., 0] - np.log(np.where(known, batch["depth"], 1)))
    np.testing.assert_allclose(
        before["log_error"][0], np.where(known, e, 0).sum((1, 2)), rtol=1e-4
    )


def test_coarse_outputs_are_compared_on_the_grid_of_the_truth(record):
    task = depth.Depth(loss="l1")
    batch = batch_of(task, record)
    flat = jnp.full((4, 12, 16, 1), 0.3)
    total, count = task.loss_terms(flat, batch)["loss"]
    known = batch["has_depth"]
    wanted = np.abs(0.3 - np.log(np.where(known, batch["depth"], 1)))
    np.testing.assert_allclose(total, np.where(known, wanted, 0).sum((1, 2)), rtol=1e-4)
    np.testing.assert_array_equal(count, known.sum((1, 2)))


@pytest.mark.parametrize("loss", ["berhu", "l1", "l2"])
def test_losses_of_metres_compare_metres(record, loss):
    task = depth.Depth(loss=loss, unit="metres", limits=(0.5, 20.0))
    batch = batch_of(task, record)
    batch["has_depth"][0] = False
    known, truth = batch["has_depth"], batch["depth"].astype(np.float64)
    rng = np.random.default_rng(0)
    outputs = rng.normal(3, 3, (4, 48, 64, 1)).astype(np.float32)
    found = task.loss_terms(jnp.asarray(outputs), batch)
    e = np.where(known, np.abs(outputs[..., 0] - truth), 0)
    c = 0.2 * e.max((1, 2), keepdims=True)
    large = (e**2 + c**2) / np.where(c > 0, 2 * c, 1)
    wanted = {"l1": e, "l2": e**2, "berhu": np.where(e <= c, e, large)}[loss]
    np.testing.assert_allclose(found["loss"][0], wanted.sum((1, 2)), rtol=1e-4)
    # Negative metres have no logarithm; what is answered has.
    answered = np.log(np.clip(outputs[..., 0], 0.5, 20.0))
    e = np.abs(answered - np.log(np.where(known, truth, 1)))
    wanted = np.where(known, e, 0).sum((1, 2))
    np.testing.assert_allclose(found["log_error"][0], wanted, rtol=1e-4)
    gradient = jax.grad(lambda x: task.loss_terms(x, batch)["loss"][0].sum())(outputs)
    assert np.isfinite(gradient).all()


def test_answers_in_metres_are_cut_off_at_the_limits():
    task = depth.Depth(loss="berhu", unit="metres", limits=(0.5, 4.0))
    output = np.array([[[-1], [0.7], [9]]], np.float32)
    found = task.predicted(None, output).depth
    np.testing.assert_array_equal(found, np.float32([[0.5, 0.7, 4.0]]))


def test_weights_of_another_unit_are_not_scored():
    metres = depth.Depth(loss="berhu", unit="metres")
    metres.check_trained(dataclasses.replace(metres, limits=(1.0, 2.0)))
    with pytest.raises(errors.UserError, match=r"unit='log_metres', this .* 'metres'"):
        metres.check_trained(depth.Depth())


def _scored(task, record, output, protocol="all_pixels"):
    given = task.evaluation_input(record, "", protocol)
    return given, task.score(record, "", given, output, protocol)


def test_the_truth_scores_perfectly_and_a_factor_as_it_must(record):
    task = depth.Depth(also=("make3d_C1",))
    logs = np.log(np.where(record["depth"] > 0, record["depth"], 1))[..., None]
    _, perfect = _scored(task, record, logs)
    assert perfect["rel"] == pytest.approx(0, abs=1e-6)
    assert perfect["delta1"] == 1
    _, far = _scored(task, record, logs + np.log(1.2))
    assert far["rel"] == pytest.approx(0.2, rel=1e-5)
    summary = task.summarise([perfect, far])
    assert summary["rel_image"] == pytest.approx(0.1, rel=1e-5)
    assert summary["rel_pooled"] == pytest.approx(0.1, rel=1e-5)
    assert "images_expected" not in summary
    lines = task.tables([perfect, far])["protocols"].lines
    assert {line[0] for line in lines} == {"all_pixels", "make3d_C1"}
    (rel,) = (line for line in lines if line[:2] == ("make3d_C1", "rel_image"))
    assert rel[2] == pytest.approx(0.1, rel=0.1)  # on a grid of its own
    assert rel[3] <= rel[2] <= rel[4]


def test_the_benchmark_s_window_is_all_that_the_network_is_shown():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (375, 1242, 3), np.uint8)
    metres = rng.uniform(2, 60, (375, 1242)).astype(np.float32)
    street = {"image": image, "depth": metres, "id": "street", "source": "x:test"}
    task = depth.Depth(also=("kitti_eigen_raw_80_garg",))
    window = depth_protocols.kb_window(metres.shape)
    name = "kitti_eigen_raw_80_kb"
    given = task.evaluation_input(street, "", name)
    np.testing.assert_array_equal(given, image[window].astype(np.float32) / 255)
    output = np.log(metres[window])[..., None]
    output = np.concatenate([output, np.full_like(output, 0.1)], -1)
    row = task.score(street, "", given, output, name)
    assert row["rel"] == pytest.approx(0, abs=1e-6)
    summary = depth_protocols.summary([row["protocols"]])
    assert summary["kitti_eigen_raw_80_garg"]["rel_image"] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(task.residuals(street, given, output, name)).all()
    panel = task.panel(street, "", given, output, row, name)
    assert panel.shape[0] > 375


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("make3d:test", [134]),
        ("make3d:test[:50]", [134]),
        ("make3d:test-img1,img2", [134]),
        ("make3d:train[90%:]", []),
        ("nyudv2_depth:test", [654]),
        ("nyu_depth_v2:validation", [654]),
        ("nyudv2_depth:val", []),
        ("rgbd_folder/mine:test", []),
    ],
)
def test_the_published_number_of_images_is_told_of_the_published_set(
    record, source, wanted
):
    task = depth.Depth(also=("make3d_C1", "nyu_full"))
    logs = np.log(np.where(record["depth"] > 0, record["depth"], 1))[..., None]
    _, row = _scored(task, record, logs)
    lines = task.tables([{**row, "source": source}])["protocols"].lines
    assert [v for _, name, v, *_ in lines if name == "images_expected"] == wanted


def test_images_without_depth_are_counted_and_shown(record):
    task = depth.Depth()
    empty = {**record, "depth": np.zeros_like(record["depth"])}
    output = np.zeros((30, 40, 1), np.float32)
    given, row = _scored(task, empty, output)
    assert "rel" not in row
    _, other = _scored(task, record, output)
    summary = task.summarise([row, other])
    assert (summary["images"], summary["images_without_depth"]) == (1, 1)
    page = task.panel(empty, "", given, output, row, "all_pixels")
    assert page.dtype == np.uint8
    assert page.ndim == 3


def test_the_network_sees_images_at_the_size_that_was_asked_for(record):
    task = depth.Depth(size=(60, 90))
    given = task.evaluation_input(record, "", "all_pixels")
    assert given.shape == (60, 90, 3)
    wanted = crop_window.resize(record["image"], (60, 90)) / np.float32(255)
    np.testing.assert_allclose(given, wanted, atol=1e-7)


def test_a_photograph_is_answered_in_metres_with_a_bar(photo):
    task = depth.Depth(limits=(0.5, 4.0))
    (given,), finish = task.request(photo.astype(np.float32) / 255, {})
    output = np.log(np.linspace(0.1, 9, given[..., :1].size)).reshape(
        *given.shape[:2], 1
    )
    shown = finish([output.astype(np.float32)])
    found = shown.maps["depth"]
    assert found.dtype == np.float32
    assert found.shape == photo.shape[:2]
    np.testing.assert_allclose([found.min(), found.max()], [0.5, 4.0], rtol=1e-5)
    assert shown.picture.shape[0] > photo.shape[0]
    with pytest.raises(errors.UserError, match="no option 'scale'"):
        task.request(photo.astype(np.float32) / 255, {"scale": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "l3"}, "task.loss must be one of"),
        ({"unit": "feet"}, "task.unit must be one of log_metres, metres"),
        ({"unit": "metres"}, "the first with a loss of scale_invariant or eigen"),
        ({"size": (3,)}, "task.size must be height and width"),
        ({"zooms": (2.0, 1.0)}, "task.zooms must be rising"),
        ({"limits": (0.0, 1.0)}, "task.limits must be rising"),
        ({"also": ("nyu_eigne",)}, "Did you mean nyu_eigen"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    run = experiment(depth.Depth(**changes))
    with pytest.raises(errors.UserError, match=message):
        run.task.check(run)


def test_only_networks_of_one_number_are_accepted():
    task = depth.Depth()
    task.check(experiment(task))
    for model, message in (
        (config.Model("rednet10"), "one number for every pixel"),
        (config.Model("fcn8s_vgg16"), "num-classes 1"),
    ):
        with pytest.raises(errors.UserError, match=message):
            task.check(experiment(task, model))
    plain = config.Model("fcn8s_vgg16", {"num_classes": 1})
    task.check(experiment(task, plain))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": "lattice", "num_classes": 1}, "no labels, which the CRF 'lattice'"),
        (
            {"crf": "grid", "pairwise": "projected"},
            r'pairwise="projected".*--optim.nonnegative crf/beta',
        ),
    ],
)
def test_crfs_that_would_go_wrong_are_refused(options, message):
    run = experiment(depth.Depth(), config.Model("fcrn_resnet50", options))
    with pytest.raises(errors.UserError, match=message):
        run.task.check(run)


def test_strengths_that_updates_keep_at_0_or_above_are_accepted():
    options = {"crf": "grid", "pairwise": "projected"}
    run = experiment(depth.Depth(), config.Model("fcrn_resnet50", options))
    optim = config.Optim(nonnegative=("crf/*",))
    run.task.check(dataclasses.replace(run, optim=optim))
    soft = config.Model("refinenet_lw50", {"crf": "grid", "num_classes": 1})
    run.task.check(experiment(depth.Depth(), soft))


def test_a_network_that_says_how_sure_it_is_is_scored_for_that_and_shown(record):
    task = depth.Depth(size=(30, 40))
    logs = np.full((30, 40), np.log(2.0), np.float32)
    spread = np.linspace(0.1, 0.5, 1200, dtype=np.float32).reshape(30, 40)
    output = np.stack([logs, spread], -1)
    given, row = _scored(task, record, output)
    found = task.predicted(given, output)
    np.testing.assert_allclose(found.depth, 2, rtol=1e-6)
    np.testing.assert_array_equal(found.deviation, spread)
    summary = task.summarise([row])
    assert {"coverage1_image", "nll_image", "ause_rms_image"} <= set(summary)
    image = record["image"].astype(np.float32) / 255
    (view,), finish = task.request(image, {}, image_size=(30, 40))
    maps = finish([output]).maps
    assert view.shape == (30, 40, 3)
    assert maps["deviation"].shape == image.shape[:2]
    assert 0.15 < maps["deviation"].min() < maps["deviation"].max() < 1.05
    without, _ = _scored(task, record, output[..., :1])
    assert task.predicted(without, output[..., :1]).deviation is None


def test_every_protocol_of_the_table_may_be_asked_for():
    run = experiment(depth.Depth())
    for name in depth_protocols.PROTOCOLS:
        evaluation = dataclasses.replace(run.evaluation, protocol=name)
        run.task.check(dataclasses.replace(run, evaluation=evaluation))


def test_gradients_reach_a_small_network(record):
    task = depth.Depth(loss="berhu")
    module, variables = zoo.create_model(
        "refinenet_lw50",
        num_classes=1,
        backbone="wide_resnet_16",
        width=1 / 16,
        path_widths=(4, 4, 4, 4),
    )
    batch = batch_of(task, record, 2)
    images, batch = task.inputs(batch, jax.random.split(jax.random.key(0), 2), DATA)

    def loss(params):
        outputs = module.apply({**variables, "params": params}, images)
        total, count = task.loss_terms(outputs, batch)["loss"]
        return total.sum() / count.sum()

    grads = jax.tree.leaves(jax.jit(jax.grad(loss))(variables["params"]))
    assert all(np.isfinite(g).all() for g in grads)
    assert sum(float(jnp.abs(g).max()) > 0 for g in grads) > 0.9 * len(grads)


def test_records_without_depth_are_refused_by_name(record):
    class Part(list):
        name = "camvid:train"

    class Opened(list):
        def __init__(self, records):
            super().__init__(records)
            self.parts = [Part(records)]

    task = depth.Depth()
    assert task.with_records([Opened([record])]) is task
    plain = {key: value for key, value in record.items() if key != "depth"}
    with pytest.raises(errors.DataError, match="camvid:train has no depth"):
        task.with_records([Opened([plain])])
