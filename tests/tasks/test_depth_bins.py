"""Depth by bins: losses of enlarged scores, decoding, deviations, what is refused."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors, tasks
from dpjax.models import zoo
from dpjax.ops import depth_bins as binning
from dpjax.ops.meanfield import dense_crf
from dpjax.tasks import depth, depth_bins

SIZE = (24, 32)
DATA = config.Data(("x",), ("y",), crop=SIZE, batch_size=2)
BINS = binning.Bins(0.7, 10.0, 12)
CLS = config.Model("cls_resnet50", {"num_classes": 12})


def task_of(**changes):
    return depth_bins.DepthBins(**{"bins": BINS, "mirror": False, **changes})


def experiment(task, model=CLS):
    return config.Experiment(
        task=task,
        model=model,
        data=DATA,
        optim=config.Optim(),
        evaluation=config.Evaluation("all_pixels"),
        total_steps=10,
    )


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (2, *SIZE, 3)).astype(np.uint8),
        "depth": rng.uniform(0.5, 12, (2, *SIZE)).astype(np.float32),
        "has_depth": rng.random((2, *SIZE)) < 0.7,
        "valid": np.array([True, False]),
        "position": np.arange(2, dtype=np.int32),
    }


def _corners(x, size):
    """Textbook bilinear sampling with corners on corners, float64 [h, w, c]."""
    for axis, wanted in enumerate(size):
        place = np.linspace(0, x.shape[axis] - 1, wanted)
        low = np.minimum(place.astype(int), x.shape[axis] - 2)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        part = (place - low).reshape(shape)
        x = (1 - part) * x.take(low, axis) + part * x.take(low + 1, axis)
    return x


def _labels(metres):
    share = np.log(metres / 0.7) / np.log(10 / 0.7)
    return np.clip(np.floor(12 * share), 0, 11).astype(int)


def _reward(label, loss, alpha, is_normalised):
    steps = np.arange(12) - label[..., None]
    if loss == "cross_entropy":
        return (steps == 0).astype(float)
    reward = np.exp(-alpha * steps**2.0)
    return reward / reward.sum(-1, keepdims=True) if is_normalised else reward


@pytest.mark.parametrize(
    ("loss", "is_normalised"),
    [("information_gain", False), ("information_gain", True), ("cross_entropy", False)],
)
def test_the_loss_is_of_scores_enlarged_to_the_truth(batch, loss, is_normalised):
    task = task_of(
        loss=loss, is_normalised=is_normalised, alpha=0.3, upsampling="align_corners"
    )
    scores = np.random.default_rng(1).normal(size=(2, 6, 8, 12)).astype(np.float32)
    found = task.loss_terms(jnp.asarray(scores), batch)
    whole = _corners(scores[0].astype(np.float64), SIZE)
    logs = whole - np.log(np.exp(whole).sum(-1, keepdims=True))
    truth, known = batch["depth"][0].astype(np.float64), batch["has_depth"][0]
    cost = -(_reward(_labels(truth), loss, 0.3, is_normalised) * logs).sum(-1)
    total, count = found["loss"]
    assert total[0] == pytest.approx(cost[known].sum(), rel=1e-4)
    edges = 0.7 * (10 / 0.7) ** (np.arange(13) / 12)
    told = (np.exp(logs) * np.log(np.sqrt(edges[:-1] * edges[1:]))).sum(-1)
    error = np.abs(told - np.log(truth))[known].sum()
    assert found["log_error"][0][0] == pytest.approx(error, rel=1e-4)
    for one, number in found.values():
        np.testing.assert_array_equal(number, [known.sum(), 0])
        assert one[1] == 0
    np.testing.assert_array_equal(count, [known.sum(), 0])


def test_ordinal_regression_asks_of_each_bin_whether_depth_is_beyond(batch):
    task = task_of(loss="ordinal", decoding="ordinal")
    scores = np.random.default_rng(1).normal(size=(2, *SIZE, 12)).astype(np.float32)
    total, _ = task.loss_terms(jnp.asarray(scores), batch)["loss"]
    known, s = batch["has_depth"][0], scores[0].astype(np.float64)
    beyond = np.arange(12) < _labels(batch["depth"][0].astype(np.float64))[..., None]
    chance = 1 / (1 + np.exp(-s))
    cost = -np.log(np.where(beyond, chance, 1 - chance)).sum(-1)
    assert total[0] == pytest.approx(cost[known].sum(), rel=1e-4)
    given = np.zeros((*SIZE, 3), np.float32)
    assert task.predicted(given, scores[0]).deviation is None


@pytest.mark.parametrize("loss", depth_bins.Loss.__args__)
def test_unknown_pixels_and_padding_move_nothing(batch, loss):
    task = task_of(
        loss=loss, decoding="ordinal" if loss == "ordinal" else "expectation"
    )
    scores = np.random.default_rng(2).normal(size=(2, *SIZE, 12)).astype(np.float32)
    empty = {**batch, "has_depth": np.zeros_like(batch["has_depth"])}
    slope = jax.grad(lambda s, b: task.loss_terms(s, b)["loss"][0].sum())
    found = np.asarray(slope(scores, batch))
    known = batch["has_depth"] & batch["valid"][:, None, None]
    assert (found[~known] == 0).all()
    assert (found[known] != 0).any(-1).all()
    np.testing.assert_array_equal(slope(scores, empty), 0)
    for total, count in task.loss_terms(scores, empty).values():
        np.testing.assert_array_equal(total, 0)
        np.testing.assert_array_equal(count, 0)


@pytest.mark.parametrize("decoding", ["argmax", "expectation", "median"])
def test_a_score_of_the_true_bin_is_answered_by_its_depth(decoding):
    task = task_of(decoding=decoding)
    label = np.arange(12).reshape(3, 4)
    output = np.where(np.arange(12) == label[..., None], 80, 0).astype(np.float32)
    found = task.predicted(np.zeros((3, 4, 3), np.float32), output)
    edges = 0.7 * (10 / 0.7) ** (np.arange(13) / 12)
    middle = np.sqrt(edges[:-1] * edges[1:])
    np.testing.assert_allclose(found.depth, middle[label], rtol=1e-5)
    # Sure of a bin, a depth is anywhere in it.
    wide = np.log(10 / 0.7) / 12
    np.testing.assert_allclose(found.deviation, wide / np.sqrt(12), rtol=1e-4)


def test_scores_are_enlarged_before_they_are_decoded():
    task = task_of(decoding="argmax", upsampling="align_corners")
    output = np.random.default_rng(3).normal(size=(3, 4, 12)).astype(np.float32)
    found = task.predicted(np.zeros((*SIZE, 3), np.float32), output)
    label = _corners(output.astype(np.float64), SIZE).argmax(-1)
    edges = 0.7 * (10 / 0.7) ** (np.arange(13) / 12)
    np.testing.assert_allclose(
        found.depth, np.sqrt(edges[:-1] * edges[1:])[label], rtol=1e-5
    )
    assert found.deviation.shape == SIZE


def test_bins_are_scored_for_their_deviation_and_shown(photo):
    metres = (1 + photo.mean(-1) / 64).astype(np.float32)
    record = {"image": photo, "depth": metres, "id": "chelsea", "source": "x:train"}
    task = task_of(size=(30, 45))
    given = task.evaluation_input(record, "", "all_pixels")
    output = np.random.default_rng(4).normal(size=(5, 8, 12)).astype(np.float32)
    row = task.score(record, "", given, output, "all_pixels")
    assert {"coverage1_image", "nll_image", "ause_rms_image"} <= set(
        task.summarise([row])
    )
    page = task.panel(record, "", given, output, row, "all_pixels")
    assert page.dtype == np.uint8
    (view,), finish = task.request(photo.astype(np.float32) / 255, {})
    assert view.shape == (30, 45, 3)
    maps = finish([output]).maps
    assert {n: m.shape for n, m in maps.items()} == dict.fromkeys(
        ("depth", "deviation"), photo.shape[:2]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "berhu"}, "one of information_gain, cross_entropy, ordinal"),
        ({"unit": "metres"}, "task.unit must be one of|task.unit must be log_metres"),
        ({"alpha": 0.0}, "task.alpha must be above 0"),
        ({"decoding": "ordinal"}, "expectation or argmax or median with a loss of inf"),
        ({"loss": "ordinal"}, "task.decoding must be ordinal with a loss of ordinal"),
        ({"upsampling": "cubic"}, "half_pixel or align_corners"),
        ({"crf": "lattice"}, "task.crf must be one of none, potts, truncated"),
        (
            {"loss": "ordinal", "decoding": "ordinal", "crf": "potts"},
            "no probabilities of bins",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    run = experiment(task_of(**changes))
    with pytest.raises(errors.UserError, match=message):
        run.task.check(run)


def test_the_network_scores_as_many_bins_as_there_are():
    task = task_of()
    task.check(experiment(task))
    for name in ("redweb_resnet50", "refinenet_lw50"):
        task.check(experiment(task, config.Model(name, {"num_classes": 12})))
    for model, message in (
        (config.Model("rednet10"), "gives 12 scores for every pixel, got rednet10"),
        (config.Model("cls_resnet50"), "gives 1. Pass --model.options.num-classes 12"),
        (
            config.Model("fcrn_resnet50", {"num_classes": 12, "crf": "grid"}),
            "the CRF 'grid' joins numbers. Choose one of none, lattice",
        ),
    ):
        with pytest.raises(errors.UserError, match=message):
            task.check(experiment(task, model))
    plain = depth.Depth()
    with pytest.raises(errors.UserError, match="the network gives 12"):
        plain.check(experiment(plain))


def test_weights_of_other_bins_are_not_scored():
    task = task_of()
    task.check_trained(task_of(decoding="argmax", loss="cross_entropy"))
    with pytest.raises(errors.UserError, match=r"bins=Bins\(least=0.7"):
        task_of(bins=dataclasses.replace(BINS, most=9.0)).check_trained(task)
    with pytest.raises(errors.UserError, match="is_ordinal=True, this"):
        task.check_trained(task_of(loss="ordinal", decoding="ordinal"))
    with pytest.raises(errors.UserError, match="bins=None"):
        task.check_trained(depth.Depth())


def test_a_card_keeps_the_bins():
    run = experiment(task_of(bins=binning.Bins(1.0, 80.0, 12, "increasing")))
    written = json.loads(json.dumps(config.encode(run)))
    found = config.decode(written["task"], tasks.TYPES)
    assert found.bins == run.task.bins
    assert found.loss == run.task.loss


def test_gradients_reach_a_small_network(batch):
    task = task_of()
    module, variables = zoo.create_model(
        "cls_resnet50",
        num_classes=12,
        backbone="wide_resnet_16",
        width=1 / 16,
        hidden=8,
        dropout=0.0,
    )
    images, inner = task.inputs(batch, jax.random.split(jax.random.key(0), 2), DATA)

    def loss(params):
        outputs = module.apply({**variables, "params": params}, images)
        total, count = task.loss_terms(outputs, inner)["loss"]
        return total.sum() / count.sum()

    grads = jax.tree.leaves(jax.jit(jax.grad(loss))(variables["params"]))
    assert all(np.isfinite(g).all() for g in grads)
    assert sum(float(jnp.abs(g).max()) > 0 for g in grads) > 0.9 * len(grads)


@pytest.mark.slow
def test_a_crf_of_labels_learns_with_the_bins(batch):
    options = {
        "num_classes": 12,
        "widths": (2, 2, 4, 4, 4),
        "fc_width": 4,
        "dropout": 0.0,
        "crf": "lattice",
    }
    task = task_of()
    task.check(experiment(task, config.Model("deeplab_largefov_vgg16", options)))
    module, variables = zoo.create_model("deeplab_largefov_vgg16", **options)
    images, inner = task.inputs(batch, jax.random.split(jax.random.key(0), 2), DATA)

    def loss(params):
        outputs = module.apply({**variables, "params": params}, images, train=True)
        total, count = task.loss_terms(outputs, inner)["loss"]
        return total.sum() / count.sum()

    # Compiling is nearly all of the work.
    quickly = {"xla_backend_optimization_level": 0}
    evaluate = jax.jit(jax.value_and_grad(loss), compiler_options=quickly)
    before, slopes = evaluate(variables["params"])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((before, slopes)))
    assert {name for name, x in slopes["crf"].items() if jnp.abs(x).max() > 0} == {
        "bilateral",
        "spatial",
        "compatibility",
    }
    params = jax.tree.map(lambda p, s: p - 0.01 * s, variables["params"], slopes)
    after, _ = evaluate(params)
    assert after < before
    apply = jax.jit(module.apply, compiler_options=quickly)
    scores = np.asarray(apply({**variables, "params": params}, images))
    given = np.asarray(images[0])
    found = task.predicted(given, scores[0])
    assert found.depth.shape == found.deviation.shape == SIZE
    assert np.isfinite(found.depth).all()
    assert np.isfinite(found.deviation).all()
    assert ((found.depth >= 0.7) & (found.depth <= 10)).all()
    assert np.ptp(found.depth) > 0


def two_surfaces():
    """Image, true bins, and scores that are right but for a noise."""
    rng = np.random.default_rng(0)
    truth = np.full(SIZE, 3)
    truth[6:18, 10:24] = 8
    image = np.where((truth == 3)[..., None], (0.2, 0.3, 0.2), (0.8, 0.6, 0.7))
    image = np.clip(image + rng.normal(0, 0.01, image.shape), 0, 1).astype(np.float32)
    apart = np.abs(np.arange(12) - truth[..., None])
    scores = -0.3 * apart + rng.normal(0, 1.0, apart.shape)
    return image, truth, scores.astype(np.float32)


@pytest.mark.parametrize("crf", ["potts", "truncated"])
def test_a_dense_crf_may_have_the_last_word(crf):
    image, truth, scores = two_surfaces()
    depths = BINS.centres[truth]

    def missed(**changes):
        task = task_of(decoding="argmax", **changes)
        task.check(experiment(task))
        return task.predicted(image, scores).depth

    alone, refined = missed(), missed(crf=crf)
    errors_of = [np.abs(np.log(told / depths)).mean() for told in (alone, refined)]
    assert errors_of[1] < errors_of[0] / 4
    # The same by penalties, as papers write them: 1 for another bin, or the distance
    # in bins up to a tenth of them.
    penalties = np.zeros((12, 12), np.float32)
    for i in range(12):
        for j in range(12):
            most = 1 if crf == "potts" else 1.2
            penalties[i, j] = min(abs(i - j), most) / most
    shares = dense_crf.infer(
        scores[None],
        image[None],
        dense_crf.Kernels(80, 13, 3, 10, 3),
        compatibility=-penalties,
    )[0]
    wanted = BINS.centres[np.asarray(shares).argmax(-1)]
    np.testing.assert_allclose(refined, wanted, rtol=1e-5)


def test_a_dense_crf_makes_a_network_surer_where_pixels_agree():
    image, _, scores = two_surfaces()
    alone, refined = (
        task_of(crf=crf).predicted(image, scores) for crf in ("none", "truncated")
    )
    assert np.isfinite(refined.depth).all()
    assert np.isfinite(refined.deviation).all()
    assert refined.deviation.mean() < alone.deviation.mean() / 2
