"""The scale of deviations, on images whose residuals are planted."""

import dataclasses
import math

import chex
import jax
import numpy as np
import pytest
from flax import linen as nn
from scipy import stats

from dpjax import config, errors
from dpjax.data.superpixels import front_end
from dpjax.inference import calibration, evaluate, trained
from dpjax.models import dcnf, grid_crf, segmenter, zoo
from dpjax.tasks import depth, superpixel_depth

SIZE = (24, 32)
ONE_SIGMA = stats.norm.cdf(1) - stats.norm.cdf(-1)
DATA = config.Data((), ("rooms:test",))
EVALUATION = config.Evaluation("all_pixels")
PLAIN = {"data": DATA, "evaluation": EVALUATION}


class Trunk(nn.Module):
    """A pyramid of one map, the image."""

    stride: int = 1

    def __call__(self, images, train=False):
        return {1: images}


class Head(nn.Module):
    """One number of each pixel by one matrix."""

    align_corners: bool = True

    @nn.compact
    def __call__(self, pyramid, size, train=False):
        return nn.Dense(1, name="head")(pyramid[1])


class Unary(nn.Module):
    """One number of each superpixel by one matrix, of its place."""

    @nn.compact
    def __call__(self, inputs, train=False):
        places = inputs["region_centroids"] / max(SIZE)
        return nn.Dense(1, name="head")(places)[..., 0], places


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def images(photo):
    return [photo[20 * i :, 70 * i :][: SIZE[0], : SIZE[1]] for i in range(4)]


def loaded_of(name):
    """A network, random but for its CRF, that nobody trained."""
    if name == "superpixels":
        task = superpixel_depth.SuperpixelDepth(
            size=SIZE, superpixels=front_end.Settings(size=6)
        )
        module = dcnf.Dcnf(Unary(), "calibrated", beta=2.0)
    else:
        task = depth.Depth()
        inner = segmenter.Segmenter(Trunk(), Head(), 5)
        module = grid_crf.GridCrf(inner, has_deviations=True, probes=8)
    variables = jax.device_get(
        jax.jit(module.init)(jax.random.key(0), zoo.example_input(module))
    )
    crf = {**variables["params"]["crf"], "log_tau": np.float32(4.25)}
    variables = {**variables, "params": {**variables["params"], "crf": crf}}
    model = config.Model("dcnf_fcsp", {"crf": "calibrated"})
    return trained.Trained("mine", module, variables, task, model, None, {})


def calibrated(loaded, sources, **options):
    options = {"devices": jax.devices()[:1], **options}
    data, evaluation = (options.pop(k, v) for k, v in PLAIN.items())
    return calibration.calibrate(
        loaded, loaded.task, data, evaluation, sources=sources, **options
    )


def scores_of(loaded, variables, sources):
    found = evaluate.evaluate(
        loaded.task,
        loaded.module,
        variables,
        DATA,
        EVALUATION,
        sources=sources,
        devices=jax.devices()[:1],
    )
    return found.summary["rooms:test"][""]


def planted(loaded, images, seed=0):
    """Records whose truth is as many deviations off as is drawn, and what was drawn.

    Every seventh pixel has no truth.
    """
    rng = np.random.default_rng(seed)
    plain = [{"image": image, "id": f"{i}"} for i, image in enumerate(images)]
    apply = jax.jit(loaded.module.apply)
    records, drawn = [], []
    for record in plain:
        given = loaded.task.evaluation_input(record, "", "all_pixels")
        batch = jax.tree.map(lambda a: a[None], given)
        output = apply(loaded.variables, batch)
        output = jax.tree.map(lambda a: np.asarray(a[0]), output)
        told = loaded.task.predicted(given, output)
        # Heavier tails than a Gaussian's, as errors of depth have.
        z = 2.5 * rng.standard_t(3, told.depth.shape)
        metres = told.depth * np.exp(told.deviation * z)
        has = (np.arange(z.size) % 7 > 0).reshape(z.shape)
        records.append({**record, "depth": np.where(has, metres, 0).astype(np.float32)})
        drawn.append(z[has])
    return {"rooms:test": records}, np.concatenate(drawn)


def test_both_factors_are_those_of_the_planted_residuals(images):
    loaded = loaded_of("superpixels")
    sources, z = planted(loaded, images)
    away = np.sort(np.abs(z))
    want = {
        "coverage": next(s for s in away if (away <= s).mean() >= ONE_SIGMA),
        "likelihood": np.sqrt((z**2).mean()),
    }
    assert want["likelihood"] > 1.2 * want["coverage"]
    for by, factor in want.items():
        found = calibrated(loaded, sources, by=by)
        assert (found.by, found.protocol, found.pixels) == (by, "all_pixels", z.size)
        assert found.factor == pytest.approx(factor, rel=1e-4)
        for covered, s in ((found.before, 1), (found.after, factor)):
            for k in (1, 2):
                share = (away <= k * s).mean()
                assert abs(covered[f"coverage{k}"] - share) * z.size <= 2
    assert found.data == {"rooms:test": {"examples": 4, "fingerprint": None}}
    few = dataclasses.replace(EVALUATION, limit=2)
    found = calibrated(loaded, sources, evaluation=few)
    assert found.data["rooms:test"]["examples"] == 2
    assert found.pixels == z.size // 2


def test_the_new_weights_cover_what_a_gaussian_covers(images):
    loaded = loaded_of("superpixels")
    sources, z = planted(loaded, images)
    found = calibrated(loaded, sources)
    # The smallest share that is at least what is wanted.
    assert 0 <= found.after["coverage1"] - ONE_SIGMA < 1 / z.size
    scored = [
        scores_of(loaded, variables, sources)
        for variables in (loaded.variables, found.variables)
    ]
    for scores, wanted in zip(scored, (found.before, found.after), strict=True):
        for k in ("coverage1", "coverage2"):
            # ln tau in 32 bits moves the bound by its rounding.
            assert scores[f"{k}_pooled"] == pytest.approx(wanted[k], abs=3 / z.size)
    assert scored[0]["coverage1_pooled"] < 0.5
    assert scored[1]["nll_pooled"] < scored[0]["nll_pooled"]
    assert [s["rms_pooled"] for s in scored] == [scored[0]["rms_pooled"]] * 2


def test_the_deviations_of_pixels_grow_and_their_depth_stays(images):
    loaded = loaded_of("pixels")
    larger = calibration.scaled(loaded.variables, 2.5)
    image = images[0][None] / np.float32(255)
    apply = jax.jit(loaded.module.apply)
    one, two = (np.asarray(apply(v, image)) for v in (loaded.variables, larger))
    np.testing.assert_array_equal(two[..., 0], one[..., 0])
    np.testing.assert_allclose(two[..., 1], 2.5 * one[..., 1], rtol=1e-5)
    record = {"image": images[0], "id": "0", "depth": np.full(SIZE, 3, np.float32)}
    z = [
        loaded.task.residuals(record, None, out[0], "all_pixels") for out in (one, two)
    ]
    np.testing.assert_allclose(z[0], 2.5 * z[1], rtol=1e-5)
    want = (np.log(3) - one[0, ..., 0]) / one[0, ..., 1]
    np.testing.assert_allclose(z[0], want.ravel(), rtol=1e-4)


def test_a_network_without_deviations_has_no_residuals():
    record = {"depth": np.ones(SIZE, np.float32)}
    with pytest.raises(errors.UserError, match="measured in deviations"):
        depth.Depth().residuals(record, None, np.zeros((*SIZE, 1)), "all_pixels")


def test_no_other_factor_is_more_likely(images):
    loaded = loaded_of("superpixels")
    sources, _ = planted(loaded, images)
    found = calibrated(loaded, sources, by="likelihood")
    nll = [
        scores_of(
            loaded, calibration.scaled(loaded.variables, found.factor * more), sources
        )["nll_pooled"]
        for more in (1, 0.95, 1.05)
    ]
    assert nll[0] < min(nll[1:]) - 1e-3


def test_one_number_changes_and_no_other_bit():
    loaded = loaded_of("superpixels")
    found = calibration.scaled(loaded.variables, 1.7)
    old, new = (v["params"]["crf"].pop("log_tau") for v in (loaded.variables, found))
    chex.assert_trees_all_equal(found, loaded.variables)
    chex.assert_trees_all_equal_dtypes(found, loaded.variables)
    assert (new.dtype, new.shape) == (np.float32, ())
    assert new == np.float32(old - 2 * math.log(1.7))


def test_devices_and_threads_change_nothing(images):
    loaded = loaded_of("superpixels")
    sources, _ = planted(loaded, images)
    found = [
        calibrated(
            loaded,
            sources,
            data=dataclasses.replace(DATA, threads=threads),
            devices=jax.devices()[:count],
        )
        for count, threads in ((1, 1), (2, 3))
    ]
    for other in found[1:]:
        assert other.factor == pytest.approx(found[0].factor, rel=1e-6)
        assert other.pixels == found[0].pixels


def test_progress_is_told_image_by_image(images):
    loaded = loaded_of("superpixels")
    sources, _ = planted(loaded, images[:2])
    seen = []
    calibrated(loaded, sources, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("count", [1, 2, 3, 22, 1000])
def test_the_quantile_is_the_smallest_that_covers_enough(count):
    z = np.random.default_rng(count).normal(size=count).astype(np.float32)
    found = calibration.factor(np.array_split(z, 3))
    away = np.abs(z)
    assert found in away
    assert (away <= found).mean() >= ONE_SIGMA
    assert (away < found).mean() < ONE_SIGMA


def test_equal_residuals_are_covered_together():
    z = [np.array([0.5] * 60 + [-3.0] * 40, np.float32)]
    assert calibration.factor(z) == 3


@pytest.mark.parametrize("by", calibration.By.__args__)
def test_residuals_of_no_network_are_refused(by):
    with pytest.raises(errors.DataError, match=r"No pixel of .* protocol counts"):
        calibration.factor([np.zeros(0, np.float32)] * 2, by)
    with pytest.raises(errors.UserError, match=r"above 0, got 0: the 8 residuals"):
        calibration.factor([np.zeros(8, np.float32)], by)


def test_an_unknown_way_is_refused():
    with pytest.raises(errors.UserError, match="Did you mean coverage"):
        calibration.factor([np.ones(3)], "covrage")


def test_a_network_without_a_scale_is_refused(images):
    loaded = loaded_of("superpixels")
    del loaded.variables["params"]["crf"]["log_tau"]
    message = r"mine has no crf/log_tau.*Train .*crf calibrated.*grid_calibrated"
    with pytest.raises(errors.UserError, match=message):
        calibrated(loaded, {})
    del loaded.variables["params"]["crf"]
    with pytest.raises(errors.UserError, match=message):
        calibration.check(loaded)


def test_images_without_depth_are_refused(images):
    loaded = loaded_of("superpixels")
    blank = {"image": images[0], "id": "0", "depth": np.zeros(SIZE, np.float32)}
    with pytest.raises(errors.DataError, match="No pixel"):
        calibrated(loaded, {"rooms:test": [blank]})
