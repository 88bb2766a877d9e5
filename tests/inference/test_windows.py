"""Tiled and bucketed inference against one call on the whole image."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import errors
from dpjax.inference import windows
from dpjax.models import rednet, zoo
from dpjax.ops import enlarge, filters


def network(seed=0, **options):
    """A narrow RED-Net whose biases and signs make every layer matter."""
    options = {"depth": 6, "widths": 4, "last_scale": 1.0, **options}
    module = rednet.RedNet(**options)
    variables = module.init(jax.random.key(seed), jnp.zeros((1, 4, 4, module.channels)))
    flat, tree = jax.tree.flatten(variables)
    rng = np.random.default_rng(seed)
    # Zero biases would hide what a wrong border does.
    flat = [
        np.asarray(a) + (0.1 * rng.random(a.shape) if a.ndim == 1 else 0) for a in flat
    ]
    flat = [a.astype(np.float32) for a in flat]
    return module, jax.tree.unflatten(tree, flat)


def whole(module, variables, image):
    """The network written once more in NumPy, in the precision of the image."""
    params = variables["params"]
    half, stride = module.depth // 2, module.stride
    height, width = image.shape[:2]
    if stride == 2:
        image = np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")

    def convolve(x, name):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        x = np.pad(x, [(1, 1), (1, 1), (0, 0)])
        h, w = x.shape[0] - 2, x.shape[1] - 2
        taps = ((i, j) for i in range(3) for j in range(3))
        return sum(x[i : i + h, j : j + w] @ kernel[i, j] for i, j in taps) + bias

    x = np.maximum(convolve(image, "conv1")[::stride, ::stride], 0)
    encoded = {1: x}
    for i in range(2, half + 1):
        x = encoded[i] = np.maximum(convolve(x, f"conv{i}"), 0)
    for j in range(1, half):
        x = np.maximum(convolve(x, f"deconv{j}"), 0)
        if j in module.skips:
            x = x + encoded[module.skips[j]]
    if stride == 2:
        # Zeros between the pixels, and the kernel reaching one pixel further.
        spread = np.zeros((2 * x.shape[0], 2 * x.shape[1], x.shape[2]), x.dtype)
        spread[::2, ::2] = x
        x = spread
    x = image + convolve(x, f"deconv{half}")
    return x[:height, :width]


def image_of(rng, height, width, channels=1):
    return rng.random((height, width, channels)).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 2])
def test_tiled_equals_whole_on_random_sizes(stride):
    module, variables = network(stride=stride)
    engine = windows.Engine(module, variables, max_window=48, bucket=16)
    assert engine.exact
    assert engine.limit == 48
    rng = np.random.default_rng(3)
    images = [image_of(rng, *rng.integers(1, 120, 2)) for _ in range(50)]
    results = list(engine.map(images))
    assert len(results) == 50
    for image, result in zip(images, results, strict=True):
        assert result.shape == image.shape
        assert result.dtype == np.float32
        expected = whole(module, variables, image)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)
    # 3 x 3 window sizes, each with at most one program of 1 and one of 8 windows.
    assert engine.compilations <= 18


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (15, 16), (17, 33), (64, 65)])
def test_every_small_size_equals_whole(size, stride):
    module, variables = network(stride=stride, channels=3)
    engine = windows.Engine(module, variables, max_window=64, bucket=16)
    image = image_of(np.random.default_rng(0), *size, 3)
    np.testing.assert_allclose(
        engine(image), whole(module, variables, image), rtol=0, atol=1e-5
    )


def test_red10_tiled_equals_whole(photo):
    module, variables = zoo.create_model("rednet10", seed=1, last_scale=1.0)
    engine = windows.Engine(module, variables, max_window=96, bucket=32)
    image = (photo[:141, :190, :1] / 255).astype(np.float32)
    expected = whole(module, variables, image)
    assert np.abs(expected - image).max() > 0.05
    np.testing.assert_allclose(engine(image), expected, rtol=0, atol=1e-5)


class ShortHalo(rednet.RedNet):
    """Claims to need less context than it does."""

    missing: int = 1

    @property
    def halo(self):
        return super().halo - self.missing


# The smallest even halo of the stride-2 network is exact, two pixels less is not.
@pytest.mark.parametrize(("stride", "missing"), [(1, 1), (2, 2)])
def test_a_halo_one_too_small_fails_in_float64(stride, missing):
    _, variables = network(stride=stride)
    options = {"depth": 6, "widths": 4, "stride": stride, "dtype": jnp.float64}
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda a: np.abs(a.astype(np.float64)), variables)
        image = np.random.default_rng(5).random((70, 52, 1))
        right = rednet.RedNet(**options)
        expected = whole(right, variables, image)
        assert expected.dtype == np.float64
        scale = np.abs(expected).max()
        for wrong, engine_module in (
            (False, right),
            (True, ShortHalo(**options, missing=missing)),
        ):
            engine = windows.Engine(engine_module, variables, max_window=40, bucket=4)
            error = np.abs(engine(image) - expected).max() / scale
            assert (error > 1e-9) if wrong else (error < 1e-14)


def far_reaching(module):
    """Positive float64 parameters under which the outermost pixels weigh most.

    With equal taps the pixel a halo away has 3^-depth of the weight, which float64
    cannot tell from rounding; here it has about 2^-depth.
    """
    variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 4, module.channels)))
    taps = np.full((3, 3, 1, 1), 0.01)
    taps[::2, ::2] = 1
    rng = np.random.default_rng(0)

    def fill(array):
        if array.ndim == 1:
            return 0.1 * rng.random(array.shape)
        kernel = taps * (1 + 0.1 * rng.random(array.shape))
        return kernel / kernel.sum((0, 1, 2))  # neither grows nor fades with depth

    return jax.tree.map(fill, variables)


# (depth, stride): the published networks and their stride-2 kin.
@pytest.mark.parametrize(
    ("depth", "stride", "halo"),
    [(10, 1, 10), (20, 1, 20), (30, 1, 30), (10, 2, 18), (20, 2, 38), (30, 2, 58)],
)
def test_published_depths_need_their_halo_and_no_less(depth, stride, halo):
    options = {"depth": depth, "widths": 2, "stride": stride, "dtype": jnp.float64}
    with jax.enable_x64(True):
        right = rednet.RedNet(**options)
        wrong = ShortHalo(**options, missing=stride)
        assert right.halo == halo
        variables = far_reaching(right)
        engines = [
            windows.Engine(
                m,
                variables,
                max_window=2 * halo + 24,
                bucket=4,
                devices=jax.devices()[:1],
            )
            for m in (right, wrong)
        ]
        rng = np.random.default_rng(depth)
        limit = engines[0].limit
        image = rng.random((limit + 9, limit + 13, 1))  # tiles in both directions
        expected = whole(right, variables, image)
        assert expected.dtype == np.float64
        scale = np.abs(expected).max()
        exact, short = (np.abs(e(image) - expected).max() / scale for e in engines)
        assert exact < 1e-14
        assert short > 1e-12
        image = rng.random((9, limit, 1))  # nothing to cut
        expected = whole(right, variables, image)
        np.testing.assert_allclose(engines[0](image), expected, rtol=1e-14)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_devices_do_not_change_the_result(count):
    module, variables = network()
    rng = np.random.default_rng(1)
    images = [image_of(rng, h, w) for h, w in ((70, 40), (33, 33), (33, 20), (9, 90))]
    engine = windows.Engine(
        module, variables, max_window=48, bucket=16, devices=jax.devices()[:count]
    )
    for image, result in zip(images, engine.map(images), strict=True):
        expected = whole(module, variables, image)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)


def test_large_batches_of_an_accelerator_equal_single_calls(monkeypatch):
    module, variables = network()
    engine = windows.Engine(
        module, variables, max_window=64, bucket=16, devices=jax.devices()[:2]
    )
    monkeypatch.setattr(engine, "_batch", 4)
    rng = np.random.default_rng(1)
    images = [image_of(rng, 20, 20) for _ in range(13)]
    assert list(engine._calls(13, (32, 32))) == [(8, 8), (2, 2), (2, 2), (1, 1)]
    for image, result in zip(images, engine.map(images), strict=True):
        np.testing.assert_allclose(
            result, whole(module, variables, image), rtol=0, atol=1e-6
        )


def test_engines_of_one_network_share_programs():
    calls = []

    class Counted(rednet.RedNet):
        def __call__(self, *arguments, **options):
            calls.append(1)
            return super().__call__(*arguments, **options)

    _, variables = network()
    module = Counted(depth=6, widths=4)
    rng = np.random.default_rng(2)
    first = windows.Engine(module, variables, max_window=64, bucket=32)
    list(first.map([image_of(rng, n, 30) for n in (10, 20, 30, 31)]))
    traced = len(calls)
    halved = jax.tree.map(lambda a: a / 2, variables)
    second = windows.Engine(module, halved, max_window=64, bucket=32)
    image = image_of(rng, 29, 31)
    result = second(image)
    assert first.compilations == 1
    assert second.compilations == 1
    # One trace for the memory estimate, none or one for a program of another batch.
    assert len(calls) <= traced + 2
    np.testing.assert_allclose(result, whole(module, halved, image), rtol=0, atol=1e-5)


class Global(nn.Module):
    """Subtracts the mean of everything it sees: context without bound."""

    channels: int = 1
    halo: None = None
    stride: int = 2
    smallest_side: int = 2
    is_dense: bool = True

    @nn.compact
    def __call__(self, images, train=False):
        assert images.shape[1] % 2 == 0
        return images - images.mean((1, 2), keepdims=True)


class Colour(nn.Module):
    """The mean of an image: one vector, which no padding may touch."""

    channels: int = 3
    halo: None = None
    stride: int = 1
    smallest_side: int = 8
    is_dense: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        return images.mean((1, 2))


def test_one_vector_is_made_of_the_whole_image_and_nothing_else():
    engine = windows.Engine(Colour(), {}, max_window=64, bucket=32)
    rng = np.random.default_rng(0)
    images = [
        rng.random((h, w, 3), np.float32) for h, w in ((33, 20), (8, 9), (33, 20))
    ]
    results = list(engine.map(images))
    for image, result in zip(images, results, strict=True):
        assert result.shape == (3,)
        np.testing.assert_allclose(result, image.mean((0, 1)), atol=1e-6)
    assert engine.is_exact(33, 20)


def test_images_that_cannot_be_seen_at_once_are_refused():
    engine = windows.Engine(Colour(), {}, max_window=64, bucket=32)
    with pytest.raises(errors.UserError, match=r"at least 8 x 8 pixels, got 7 x 30"):
        engine(np.zeros((7, 30, 3), np.float32))
    with pytest.raises(errors.UserError, match=r"room for 4,096 pixels, got 65 x 64"):
        engine(np.zeros((65, 64, 3), np.float32))


def test_unbounded_context_runs_whole_where_it_fits():
    engine = windows.Engine(Global(), {}, max_window=64, bucket=32)
    image = image_of(np.random.default_rng(0), 33, 20)
    padded = np.pad(image, [(0, 1), (0, 0), (0, 0)], mode="edge")
    assert not engine.exact
    assert engine.is_exact(33, 20)
    np.testing.assert_allclose(
        engine(image), image - padded.mean((0, 1), keepdims=True), atol=1e-6
    )


def test_unbounded_context_blends_large_images_and_says_so():
    engine = windows.Engine(Global(), {}, max_window=64, bucket=32)
    rng = np.random.default_rng(0)
    image = image_of(rng, 150, 90) + np.float32(3)
    assert not engine.is_exact(150, 90)
    result = engine(image)
    # Each window removes its own mean: near 3.5 everywhere, and no seams.
    np.testing.assert_allclose(image - result, 3.5, atol=0.05)
    steps = np.abs(np.diff((image - result)[..., 0], axis=0))
    assert steps.max() < 0.005


def test_the_budget_bounds_the_window():
    module, variables = network(widths=32)
    small = windows.Engine(module, variables, memory_bytes=2_000_000, bucket=16)
    large = windows.Engine(module, variables, memory_bytes=20_000_000, bucket=16)
    assert 16 < small.limit < large.limit < 1024
    rng = np.random.default_rng(0)
    image = image_of(rng, 130, 100)
    np.testing.assert_allclose(small(image), large(image), rtol=0, atol=1e-5)


def test_a_hopeless_budget_is_refused_with_what_is_needed():
    module, variables = network()
    with pytest.raises(errors.UserError, match=r"at least .* pixels.*Allow more"):
        windows.Engine(module, variables, memory_bytes=1000)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.float32), r"\[h, w, 1\], got \[4, 4\]"),
        (np.zeros((4, 4, 3), np.float32), r"\[h, w, 1\], got \[4, 4, 3\]"),
        (np.zeros((0, 4, 1), np.float32), r"got \[0, 4, 1\]"),
        (np.zeros((4, 4, 1), np.uint8), "float32 images in .* got uint8"),
    ],
)
def test_wrong_images_are_refused(image, message):
    module, variables = network()
    engine = windows.Engine(module, variables, bucket=16)
    with pytest.raises(errors.UserError, match=message):
        engine(image)


class Coarse(nn.Module):
    """A network with a grid of its own: every fourth pixel, smoothed."""

    channels = 3
    stride = 1
    halo = None
    is_dense = True
    smallest_side = 8
    align_corners = True

    @nn.compact
    def __call__(self, images):
        return nn.Conv(2, (7, 7), strides=(4, 4), padding=[(3, 3)] * 2)(images)


def test_scores_on_a_grid_of_their_own_come_as_they_are_from_a_whole_image(photo):
    module = Coarse()
    image = photo[:97, :130].astype(np.float32) / 255
    variables = module.init(jax.random.key(0), image[None])
    engine = windows.Engine(module, variables, max_window=256)
    found = list(engine.map([image, image[:, ::-1].copy()]))
    assert found[0].shape == (25, 33, 2)
    np.testing.assert_allclose(
        found[1], module.apply(variables, image[None, :, ::-1])[0], atol=1e-5
    )


def test_windows_of_a_large_image_meet_on_its_pixels(photo):
    module = Coarse()
    # Smooth, since the grids of windows and of the whole differ by up to two pixels.
    image = np.asarray(filters.blur(photo, filters.gaussian(25, 6.0)) / 255, "f")
    variables = module.init(jax.random.key(0), image[None])
    engine = windows.Engine(module, variables, max_window=256)
    assert not engine.is_exact(*image.shape[:2])
    found = engine(image)
    assert found.shape == (*image.shape[:2], 2)
    whole = windows.Engine(module, variables, max_window=1024)(image)
    wanted = enlarge.on_host(whole, image.shape[:2], "align_corners")
    inside = (slice(8, -8), slice(8, -8))
    error = np.abs(found - wanted)[inside] / np.std(wanted)
    assert error.max() < 0.3  # at their borders windows see nothing beyond
    assert error.mean() < 0.03
