"""imresize against published values, the textbook sum and algebraic laws."""

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.ops import resize

RAMP = {
    1 / 2: [0.449219, 2.488281, 4.5, 6.5, 8.511719, 10.550781],
    1 / 3: [0.901235, 3.987654, 7.012346, 10.098765],
    1 / 4: [1.359863, 5.5, 9.640137],
}
IMPULSE = {
    1 / 2: [0, -0.035156, 0.433594, 0.113281, -0.011719, 0],
    1 / 3: [-0.024691, 0.259259, 0.111111, -0.012346],
}


def _line(values, scale, xp):
    """Resamples a column vector along its rows only."""
    image = xp.asarray(np.asarray(values, float)[:, None])
    return np.asarray(resize.imresize(image, scale=(scale, 1.0)))[:, 0]


def _brute_force(line, scale, border):
    """The sum of specified taps, one output sample and one tap at a time."""
    n = len(line)

    def kernel(t):
        t = abs(t)
        if t <= 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t <= 2 else 0.0

    def sample(j):
        if border == "replicate":
            return line[min(max(j, 0), n - 1)]
        while not 0 <= j < n:
            j = -1 - j if j < 0 else 2 * n - 1 - j
        return line[j]

    shrink = min(scale, 1)
    out = []
    for i in range(int(np.ceil(scale * n))):
        centre = (i + 0.5) / scale - 0.5
        near = range(int(centre - 3 / shrink) - 1, int(centre + 3 / shrink) + 2)
        taps = [kernel(shrink * (centre - j)) for j in near]
        total = sum(w * sample(j) for w, j in zip(taps, near, strict=True))
        out.append(total / sum(taps))
    return np.array(out)


@pytest.mark.parametrize("xp", [np, jnp])
@pytest.mark.parametrize("scale", RAMP)
def test_ramp_has_the_published_values(scale, xp):
    np.testing.assert_allclose(_line(range(12), scale, xp), RAMP[scale], atol=6e-7)


@pytest.mark.parametrize("xp", [np, jnp])
def test_doubled_ramp_has_the_published_values(xp):
    got = _line(range(12), 2.0, xp)
    np.testing.assert_allclose(got[:4], [-0.09375, 0.179688, 0.726562, 1.25], atol=6e-7)
    np.testing.assert_allclose(got[-2:], [10.820312, 11.09375], atol=6e-7)


@pytest.mark.parametrize("scale", IMPULSE)
def test_impulse_has_the_published_values(scale):
    got = _line(np.arange(12) == 5, scale, np)
    np.testing.assert_allclose(got, IMPULSE[scale], atol=6e-7)


def test_interior_taps_of_halving():
    w, _ = resize.weights(64, 32, 0.5)
    taps = [-0.01171875, -0.03515625, 0.11328125, 0.43359375]
    assert w[10].tolist() == taps + taps[::-1]


def test_photograph_has_the_published_pixel_sums():
    from skimage import data

    image = data.camera()
    half = resize.imresize(image, scale=1 / 2)
    assert half.dtype == np.uint8
    assert half.sum(dtype=int) == 8_458_692
    once = resize.imresize(image, scale=1 / 2, pass_round=False)
    assert once.sum(dtype=int) == 8_457_968
    quarter = resize.imresize(image, scale=1 / 4)
    assert quarter.sum(dtype=int) == 2_114_507
    assert quarter[0, :4].tolist() == [199, 199, 199, 198]


@pytest.mark.parametrize("border", ["reflect", "replicate"])
@pytest.mark.parametrize("scale", [0.5, 1 / 3, 0.25, 0.37, 0.08, 1.7, 2.0, 3.0])
def test_any_scale_matches_the_textbook_sum(scale, border):
    line = np.random.default_rng(3).random(17)
    image = np.repeat(line[:, None, None], 2, axis=2)
    got = resize.imresize(image, scale=(scale, 1.0), border=border)
    want = _brute_force(line, scale, border)
    np.testing.assert_allclose(got[:, 0, 1], want, atol=1e-12)
    fast = resize.imresize(jnp.asarray(image), scale=(scale, 1.0), border=border)
    np.testing.assert_allclose(fast, got, atol=2e-6)


def test_axis_with_the_smaller_scale_goes_first():
    image = np.random.default_rng(4).integers(0, 256, (24, 20), np.uint8)
    got = resize.imresize(image, size=(12, 5))
    columns = resize.imresize(image, scale=(1.0, 0.25))
    assert np.array_equal(got, resize.imresize(columns, scale=(0.5, 1.0)))
    rows = resize.imresize(image, scale=(0.5, 1.0))
    assert not np.array_equal(got, resize.imresize(rows, scale=(1.0, 0.25)))


@pytest.mark.parametrize("scale", [0.3, 0.5, 2.0, 3.3])
def test_constants_stay_and_size_is_rounded_up(scale):
    got = resize.imresize(np.full((9, 13, 3), 0.7), scale=scale)
    assert got.shape == (int(np.ceil(9 * scale)), int(np.ceil(13 * scale)), 3)
    np.testing.assert_allclose(got, 0.7, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1 / 3, 2.0, 3.0, 4.0])
def test_linear_ramps_are_reproduced_inside(scale):
    got = _line(range(60), scale, np)
    want = (np.arange(len(got)) + 0.5) / scale - 0.5
    inside = (want > 10) & (want < 49)
    np.testing.assert_allclose(got[inside], want[inside], atol=1e-12)


@pytest.mark.parametrize("xp", [np, jnp])
def test_scale_one_is_the_identity(xp):
    image = xp.asarray(np.random.default_rng(5).random((6, 7, 3)))
    assert np.array_equal(resize.imresize(image, scale=1.0), image)


def test_device_rounds_levels_like_the_host():
    image = np.random.default_rng(6).integers(0, 256, (2, 24, 18, 3), np.uint8)
    host = resize.imresize(image, scale=1 / 3)
    device = jax.jit(lambda x: resize.imresize(x, scale=1 / 3))(image)
    assert device.dtype == jnp.uint8
    # float32 sums may put an exact tie on the other side.
    assert np.mean(np.asarray(device) != host) < 0.01
    assert np.abs(np.asarray(device).astype(int) - host).max() <= 1
    single = np.stack([resize.imresize(one, scale=1 / 3) for one in image])
    assert np.array_equal(host, single)


def test_gradient_is_the_transposed_map():
    shrink = lambda x: resize.imresize(x, scale=0.5)  # noqa: E731
    x, y = jax.random.normal(jax.random.key(0), (2, 8, 8))
    there = jnp.vdot(shrink(x), y[:4, :4])
    back = jax.vjp(shrink, x)[1](y[:4, :4])[0]
    np.testing.assert_allclose(there, jnp.vdot(x, back), rtol=1e-5)


def test_wrong_requests_are_explained():
    image = np.zeros((4, 4))
    with pytest.raises(errors.UserError, match="either scale or size"):
        resize.imresize(image)
    with pytest.raises(errors.UserError, match="positive scale"):
        resize.imresize(image, scale=0.0)
    with pytest.raises(errors.UserError, match="at least 1 x 1"):
        resize.imresize(image, size=(0, 4))
    with pytest.raises(errors.UserError, match="Reshape the image"):
        resize.imresize(np.zeros(4), scale=2.0)
    with pytest.raises(errors.UserError, match="Did you mean reflect"):
        resize.imresize(image, scale=2.0, border="reflct")


@pytest.mark.parametrize("kernel", ["cubic", "linear"])
@pytest.mark.parametrize("size", [(151, 227), (61, 93), (430, 620)])
def test_inside_of_the_picture_pillow_gives_the_same(photo, kernel, size):
    """The protocols of ImageNet are defined by Pillow."""
    image = PIL.Image.fromarray(photo)
    how = {"cubic": "BICUBIC", "linear": "BILINEAR"}[kernel]
    want = np.array(image.resize(size[::-1], PIL.Image.Resampling[how]))
    got = resize.imresize(photo, size=size, kernel=kernel)
    inner = slice(3, -3)
    difference = np.abs(got.astype(int) - want)[inner, inner]
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.85


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("size", [(41, 60), (300, 451), (330, 200)])
def test_a_window_is_a_part_of_the_whole_result(photo, size, dtype):
    image = photo.astype(dtype)
    window = (slice(7, 31), slice(2, 40))
    whole = resize.imresize(image, size=size)
    part = resize.imresize(image, size=size, window=window)
    np.testing.assert_array_equal(part, whole[window])
    on_device = resize.imresize(jnp.asarray(image), size=size, window=window)
    # In float32 a tie between two levels may fall on the other side.
    atol = 1 if dtype == np.uint8 else 1e-3
    difference = np.asarray(on_device, float) - whole[window]
    assert np.abs(difference).max() <= atol
    assert (np.abs(difference) > 1e-3).mean() < 0.01
