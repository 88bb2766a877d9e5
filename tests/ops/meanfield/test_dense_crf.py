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
from dpjax.ops.meanfield import dense_crf
from tests.ops.meanfield.textbook import CLASSES, brute_force, crop, softmax

KERNELS = dense_crf.PUBLISHED
METHODS = ("exact", "lattice", "window")
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
