"""Dense CRFs against sums over all pairs, written out in float64."""

import dataclasses
import functools
import inspect
import re

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from dpjax import errors
from dpjax.ops.meanfield import (
    dense_crf,
    gaussian_axes,
    gaussian_lattice,
    gaussian_tiles,
    gaussian_window,
)

KERNELS = dense_crf.PUBLISHED
METHODS = ("exact", "lattice", "window")
CLASSES = 4
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


def test_the_published_kernels_are_those_of_the_literature():
    # Places, colours, nearness; weights of the bilateral and of the spatial kernel.
    wanted = {
        "crf_rnn": (160, 3, 3, 5, 3),  # Zheng et al., ICCV 2015
        # Chen et al., ICLR 2015: plain, and the forms of its table
        "deeplab": (50, 10, 3, 5, 3),
        "deeplab_msc": (95, 3, 3, 3, 3),
        "deeplab_largefov": (49, 5, 3, 4, 3),
        "deeplab_msc_largefov": (83, 5, 3, 4, 3),
        "deeplab_coco_largefov": (69, 5, 3, 5, 3),
        # Chen et al., PAMI 2018
        "deeplab_v2_resnet101": (67, 3, 1, 4, 3),
        "deeplab_v2_vgg16": (65, 3, 2, 4, 2),
        "library_demo": (80, 13, 3, 10, 3),  # Kraehenbuehl & Koltun's code
    }
    names = ("theta_alpha", "theta_beta", "theta_gamma")
    names += ("bilateral_weight", "spatial_weight")
    found = {
        kernels: tuple(getattr(value, name) for name in names)
        for kernels, value in dense_crf.PUBLISHED.items()
    }
    assert found == wanted


@pytest.mark.parametrize("run", [dense_crf.infer, dense_crf.refine])
def test_ten_symmetric_steps_are_usual(run):
    usual = inspect.signature(run).parameters
    assert usual["iterations"].default == 10
    assert usual["normalisation"].default == "symmetric"


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def features_of(image, kernels):
    """Both kernels' features over their widths, [n, 5] and [n, 2], float64."""
    height, width = image.shape[:2]
    places = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2).astype(float)
    colours = image.reshape(-1, 3).astype(float)
    alike = [places / kernels.theta_alpha, colours / kernels.theta_beta]
    return np.concatenate(alike, -1), places / kernels.theta_gamma


def gaussian_matrix(features):
    square = ((features[:, None] - features[None]) ** 2).sum(-1)
    return np.exp(-square / 2)


def normalised(matrix, how):
    sums = matrix.sum(1)
    if how == "after":
        return matrix / sums[:, None]
    return matrix / np.sqrt(sums[:, None] * sums[None])


def brute_force(
    scores, image, kernels, *, iterations, how="symmetric", compatibility=None
):
    """Q of one image, [h, w, k], from the whole matrices of both kernels."""
    alike, near = (
        normalised(gaussian_matrix(f), how) for f in features_of(image, kernels)
    )
    flat = scores.reshape(-1, scores.shape[-1]).astype(float)
    mixes = [
        weight if np.ndim(weight) else weight * np.eye(scores.shape[-1])
        for weight in (kernels.bilateral_weight, kernels.spatial_weight)
    ]
    q = softmax(flat)
    for _ in range(iterations):
        message = (alike @ q) @ mixes[0].T + (near @ q) @ mixes[1].T
        if compatibility is not None:
            message = message @ compatibility.T
        q = softmax(flat + message)
    return q.reshape(scores.shape)


@functools.cache
def crop(height=24, width=32, seed=0):
    """Part of a photograph, and scores that follow its colours without being sure."""
    from skimage import data

    rng = np.random.default_rng(seed)
    top, left = (int(v) for v in rng.integers(40, 150, 2))
    image = data.astronaut()[top : top + height, left : left + width]
    towards = rng.normal(size=(3, CLASSES)) / 30
    scores = (image - image.mean((0, 1))) @ towards
    scores = scores + rng.normal(size=(height, width, CLASSES))
    return scores.astype(np.float32), image


def infer(scores, image, kernels, **options):
    call = functools.partial(dense_crf.infer, kernels=kernels, **options)
    compiled = jax.jit(call, compiler_options=QUICKLY)
    return np.asarray(compiled(scores[None], image[None]))[0]


@pytest.mark.parametrize("how", dense_crf.Normalisation.__args__)
@pytest.mark.parametrize(
    "name", ["crf_rnn", "deeplab", "deeplab_v2_resnet101", "library_demo"]
)
def test_exact_inference_is_the_sum_over_all_pairs(name, how):
    scores, image = crop()
    options = {"iterations": 5, "how": how}
    want = brute_force(scores, image, KERNELS[name], **options)
    options = {"iterations": 5, "normalisation": how, "method": "exact"}
    got = infer(scores, image, KERNELS[name], **options)
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("how", dense_crf.Normalisation.__args__)
def test_only_rounding_is_left_however_often_it_is_repeated(how):
    """Undecided pixels magnify rounding, so ten iterations need float64 to compare."""
    scores, image = crop()
    kernels = KERNELS["crf_rnn"]
    want = brute_force(scores, image, kernels, iterations=10, how=how)
    with jax.enable_x64(True):
        double = scores.astype(np.float64)
        got = infer(double, image, kernels, normalisation=how, method="exact")
    np.testing.assert_allclose(got, want, atol=1e-9)
    single = infer(scores, image, kernels, normalisation=how, method="exact")
    np.testing.assert_allclose(single, want, atol=1e-4)


def test_matrices_mix_labels_as_written():
    scores, image = crop(17, 13, seed=1)
    rng = np.random.default_rng(2)
    mixes = [rng.normal(size=(CLASSES, CLASSES)) for _ in range(3)]
    kernels = dense_crf.Kernels(20, 8, 2, *mixes[:2])
    options = {"iterations": 3, "compatibility": mixes[2]}
    want = brute_force(scores, image, kernels, how="after", **options)
    got = infer(
        scores, image, kernels, normalisation="after", method="exact", **options
    )
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("name", ["crf_rnn", "deeplab_v2_vgg16", "library_demo"])
def test_the_lattice_is_near_the_exact_sums(name):
    scores, image = crop(48, 64, seed=3)
    exact, near = (
        infer(scores, image, KERNELS[name], method=method, iterations=5)
        for method in ("exact", "lattice")
    )
    # The public library is 0.001 to 0.016 away, with 97.1 to 99.9 % equal labels.
    assert np.abs(near - exact).mean() < 0.016
    assert (near.argmax(-1) == exact.argmax(-1)).mean() > 0.97


def filtered(module, features, values, *, prepare=None, **options):
    def run(features, values):
        widths = jnp.ones(features.shape[-1])
        prepared = module.prepare(features, widths, **(prepare or {}))
        return module.apply(prepared, values, **options)

    given = (np.asarray(array, np.float32) for array in (features, values))
    return np.asarray(jax.jit(run, compiler_options=QUICKLY)(*given))


@pytest.mark.parametrize("name", ["crf_rnn", "deeplab", "library_demo"])
def test_one_pass_of_the_lattice_is_as_near_as_the_public_one(name):
    _, image = crop(32, 40, seed=4)
    features, _ = features_of(image, KERNELS[name])
    q = np.random.default_rng(5).dirichlet(np.ones(5), (32, 40))
    matrix = normalised(gaussian_matrix(features), "after")
    want = (matrix @ q.reshape(-1, 5)).reshape(q.shape)
    ones = np.ones((32, 40, 1))
    grid = features.reshape(32, 40, 5)
    got = filtered(gaussian_lattice, grid, np.concatenate([q, ones], -1))
    got = got[..., :5] / got[..., 5:]
    assert np.abs(got - want).mean() < 0.013
    assert np.abs(got - want).max() < 0.27
    np.testing.assert_allclose(got.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (130, 65), (64, 95)])
@pytest.mark.parametrize("theta", [0.5, 2.0, 50.0])
def test_bands_of_the_axes_are_the_whole_sums(size, theta):
    values = np.random.default_rng(25).normal(size=(*size, 2))
    want = values
    for axis, length in enumerate(size):
        places = np.arange(length)[:, None] / theta
        matrix = gaussian_matrix(places)
        want = np.moveaxis(np.tensordot(matrix, want, (1, axis)), 0, axis)
    call = functools.partial(gaussian_axes.apply, theta=theta)
    with jax.enable_x64(True):
        got = jax.jit(call, compiler_options=QUICKLY)(values)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_a_lattice_of_more_cells_than_pixels_is_whole():
    # Pixels that resemble no others hear nothing but themselves.
    rng = np.random.default_rng(24)
    features = 40 * rng.permutation(48 * 64).reshape(48, 64, 1) + rng.random(
        (48, 64, 5)
    )
    values = rng.random((48, 64, 2))
    values[..., 1] = 1
    given = features.astype(np.float32), np.ones(5, np.float32)
    prepared = jax.jit(gaussian_lattice.prepare)(*given)
    assert prepared.count > 5 * 48 * 64
    got = filtered(gaussian_lattice, features, values)
    np.testing.assert_allclose(got[..., 0] / got[..., 1], values[..., 0], rtol=1e-4)


@pytest.mark.parametrize("tile", [5, 64, 10_000])
def test_tiles_of_any_size_give_the_same_sums(tile):
    _, image = crop(13, 19, seed=6)
    features, _ = features_of(image, KERNELS["deeplab_v2_resnet101"])
    features = features.astype(np.float32).astype(float)  # its rounding is not theirs
    values = np.random.default_rng(7).normal(size=(13, 19, 3))
    want = (gaussian_matrix(features) @ values.reshape(-1, 3)).reshape(values.shape)
    grid = features.reshape(13, 19, 5)
    got = filtered(gaussian_tiles, grid, values, prepare={"tile": tile})
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_tiles_that_cannot_reach_each_other_are_left_out():
    # Two halves 100 deviations apart, each as wide as one deviation.
    features = np.random.default_rng(8).random((16, 16, 5), np.float32)
    features[:, 8:] += 100
    prepare = functools.partial(gaussian_tiles.prepare, tile=32)
    prepared = jax.jit(prepare)(features, np.ones(5, np.float32))
    assert prepared.pairs.shape == (36, 2)
    assert prepared.count == 20  # twice 4 tiles with each other and themselves
    want = gaussian_matrix(features.reshape(-1, 5).astype(float)).sum(1)
    ones = np.ones((16, 16, 1))
    got = filtered(gaussian_tiles, features, ones, prepare={"tile": 32})
    np.testing.assert_allclose(got.ravel(), want, rtol=1e-5)


@pytest.mark.parametrize("reach", [0, 2, 30])
def test_windows_are_the_sums_without_what_is_outside(reach):
    _, image = crop(11, 14, seed=9)
    features, places = features_of(image, dense_crf.Kernels(10, 20, 1, 1, 1))
    values = np.random.default_rng(10).normal(size=(11, 14, 3))
    away = np.abs(places[:, None] - places[None]).max(-1)
    matrix = gaussian_matrix(features) * (away <= reach)
    want = (matrix @ values.reshape(-1, 3)).reshape(values.shape)
    grid = features.reshape(11, 14, 5)
    got = filtered(gaussian_window, grid, values, reach=reach)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("module", [gaussian_tiles, gaussian_lattice, gaussian_window])
def test_the_transpose_is_the_transpose(module):
    _, image = crop(15, 18, seed=11)
    features, _ = features_of(image, KERNELS["crf_rnn"])
    grid = features.reshape(15, 18, 5)
    rng = np.random.default_rng(12)
    a, b = rng.normal(size=(2, 15, 18, 2))
    there = (filtered(module, grid, a) * b).sum()
    back = (filtered(module, grid, b, transpose=True) * a).sum()
    assert there == pytest.approx(back, rel=1e-4)


def test_the_lattice_of_one_axis_is_the_blur_of_a_line():
    """A*_1 is a line of cells sqrt(3/2) deviations apart; all is known by hand."""
    place = np.random.default_rng(13).uniform(-4, 4, 50)
    values = np.random.default_rng(14).normal(size=50)
    # The plane is the line (x, -x); keys step by 1 in x, lifted = place * 2 / sqrt(3).
    lifted = place * 2 * np.sqrt(2 / 3) / np.sqrt(2)
    grid = np.arange(-20, 21)
    share = np.maximum(1 - np.abs(lifted[:, None] - grid), 0)
    is_cell = share.sum(0) > 0
    step = 0.5 * (np.abs(grid[:, None] - grid) == 1) * is_cell * is_cell[:, None]
    blur = np.eye(len(grid)) + step
    want = share @ (blur @ (blur @ (share.T @ values)))
    got = filtered(gaussian_lattice, place.reshape(5, 10, 1), values.reshape(5, 10, 1))
    np.testing.assert_allclose(got.ravel(), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_q_is_a_distribution_and_weights_of_zero_leave_the_softmax(method):
    scores, image = crop(14, 17, seed=15)
    q = infer(scores, image, KERNELS["crf_rnn"], method=method)
    assert q.min() >= 0
    np.testing.assert_allclose(q.sum(-1), 1, atol=1e-6)
    off = dataclasses.replace(
        KERNELS["crf_rnn"], bilateral_weight=0.0, spatial_weight=0.0
    )
    alone = infer(scores, image, off, method=method)
    np.testing.assert_allclose(alone, softmax(scores), atol=1e-6)
    none = infer(scores, image, KERNELS["crf_rnn"], method=method, iterations=0)
    np.testing.assert_allclose(none, softmax(scores), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_an_image_without_contrast_and_scores_without_opinion_stay(method):
    image = np.full((14, 17, 3), 90, np.uint8)
    scores = np.zeros((14, 17, CLASSES), np.float32)
    q = infer(scores, image, KERNELS["deeplab"], method=method)
    np.testing.assert_allclose(q, 1 / CLASSES, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_labels_are_names_only_and_scores_have_no_zero(method):
    scores, image = crop(14, 17, seed=16)
    kernels = KERNELS["deeplab_v2_vgg16"]
    q = infer(scores, image, kernels, method=method)
    order = np.array([2, 0, 3, 1])
    moved = infer(scores[..., order], image, kernels, method=method)
    np.testing.assert_allclose(moved, q[..., order], atol=1e-5)
    shift = np.random.default_rng(17).normal(size=(14, 17, 1)).astype(np.float32)
    shifted = infer(scores + shift, image, kernels, method=method)
    np.testing.assert_allclose(shifted, q, atol=1e-5)


@pytest.mark.parametrize("method", ["exact", "window"])
def test_a_mirrored_image_has_mirrored_labels(method):
    scores, image = crop(14, 17, seed=18)
    q = infer(scores, image, KERNELS["deeplab"], method=method)
    for axis in (0, 1):
        mirrored = infer(
            np.flip(scores, axis),
            np.flip(image, axis),
            KERNELS["deeplab"],
            method=method,
        )
        np.testing.assert_allclose(mirrored, np.flip(q, axis), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_images_of_a_batch_do_not_meet(method):
    scores, images = (
        np.stack(part) for part in zip(crop(9, 11, 19), crop(9, 11, 20), strict=True)
    )
    options = {"kernels": KERNELS["deeplab"], "method": method, "iterations": 3}
    call = functools.partial(dense_crf.infer, **options)
    both = jax.jit(call, compiler_options=QUICKLY)(scores, images)
    alone = [infer(*pair, **options) for pair in zip(scores, images, strict=True)]
    np.testing.assert_allclose(both, alone, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_devices_that_share_a_batch_give_what_one_gives(method):
    scores, image = (np.stack(x) for x in zip(crop(), crop(seed=1), strict=True))

    def slopes(scores, image):
        def first(scores):
            q = dense_crf.infer(
                scores, image, KERNELS["deeplab"], iterations=2, method=method
            )
            return q[..., 0].sum(), q

        return jax.grad(first, has_aux=True)(scores)

    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    mapped = jax.shard_map(slopes, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"))
    for got, wanted in zip(
        jax.jit(mapped)(scores, image), jax.jit(slopes)(scores, image), strict=True
    ):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_levels_fractions_and_grey_images_are_the_same_image():
    scores, image = crop(9, 11, seed=21)
    q = infer(scores, image, KERNELS["deeplab"], method="exact")
    fractions = (image / 255).astype(np.float32)
    again = infer(scores, fractions, KERNELS["deeplab"], method="exact")
    np.testing.assert_allclose(again, q, atol=1e-5)
    grey = image[..., :1]
    one, three = (
        infer(scores, given, KERNELS["deeplab"], method="exact")
        for given in (grey, np.repeat(grey, 3, -1))
    )
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("how", dense_crf.Normalisation.__args__)
@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_the_slopes(method, how):
    scores, image = crop(9, 11, seed=22)
    rng = np.random.default_rng(23)
    target = rng.normal(size=(1, 9, 11, CLASSES))
    mixes = 0.3 * rng.normal(size=(3, CLASSES, CLASSES))
    jit = functools.partial(jax.jit, compiler_options=QUICKLY)
    with jax.enable_x64(True):

        def value(scores, mixes):
            kernels = dense_crf.Kernels(20, 8, 2, mixes[0], mixes[1])
            q = dense_crf.infer(
                scores,
                image[None] / 255.0,
                kernels,
                iterations=3,
                normalisation=how,
                method=method,
                compatibility=mixes[2],
            )
            return (q * target).sum()

        at = [scores[None].astype(np.float64), mixes]
        gradients = jit(jax.grad(value, (0, 1)))(*at)
        value = jit(value)
        for i, gradient in enumerate(gradients):
            along = rng.normal(size=at[i].shape)
            ends = []
            for step in (1e-4, -1e-4):
                moved = at.copy()
                moved[i] = at[i] + step * along
                ends.append(float(value(*moved)))
            slope = float((gradient * along).sum())
            assert slope == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-5)


def test_the_gradient_never_stores_the_matrix():
    pixels = 64 * 64
    scores = jax.ShapeDtypeStruct((1, 64, 64, 2), jnp.float32)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)

    def loss(scores, image):
        q = dense_crf.infer(scores, image, KERNELS["crf_rnn"], method="exact")
        return jnp.square(q).sum()

    compiled = jax.jit(jax.grad(loss)).lower(scores, image).compile()
    # Ten iterations keep their Q; a tile of weights and its distances come and go.
    assert compiled.memory_analysis().temp_size_in_bytes < pixels**2 * 4 / 2


def test_the_compiler_does_not_sum_the_kernels_itself():
    size = (70, 90)
    run = functools.partial(
        dense_crf.refine, kernels=KERNELS["crf_rnn"], iterations=1, method="window"
    )
    scores = jax.ShapeDtypeStruct((1, *size, CLASSES), jnp.float32)
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.uint8)
    lowered = jax.jit(run).lower(scores, images)
    program = lowered.compile(compiler_options=QUICKLY).as_text()
    shapes = set(re.findall(r"f32\[([\d,]+)\]\S* constant\(", program))
    # The matrices of both axes are in it; their sums, one for each pixel, are not.
    assert {"1,70,70", "1,90,90"} <= shapes
    assert not any(shape.removesuffix(",1").endswith("70,90") for shape in shapes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": (5, 6, 3)}, r"wants scores \[b, h, w, k\] and images"),
        ({"images": (1, 5, 7, 3)}, r"got \[1, 5, 6, 2\] and \[1, 5, 7, 3\]"),
        ({"images": (1, 5, 6, 4)}, "Resize one"),
        ({"kernels": dense_crf.Kernels(0, 3, 3, 1, 1)}, "positive widths"),
        ({"kernels": dense_crf.Kernels(9, 3, 3, np.ones((3, 3)), 1)}, "bilateral_w"),
        ({"kernels": dense_crf.Kernels(9, 3, 3, 1, np.ones(2))}, r"matrix \[2, 2\]"),
        ({"compatibility": np.ones((2, 3))}, "compatibility wants"),
        ({"iterations": -1}, "0 or more iterations"),
        ({"method": "lattise"}, "Did you mean lattice"),
        ({"normalisation": "before"}, "Unknown normalisation"),
    ],
)
def test_wrong_requests_are_explained(change, message):
    given = {"scores": (1, 5, 6, 2), "images": (1, 5, 6, 3)}
    given |= {"kernels": KERNELS["deeplab"]} | change
    arrays = [jnp.zeros(given.pop(name)) for name in ("scores", "images")]
    with pytest.raises(errors.UserError, match=message):
        dense_crf.infer(*arrays, **given)
