"""Sampling of maps against PyTorch, against plain sums, and by what it promises."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import enlarge

MODES = enlarge.Mode.__args__
SIZES = [((4, 5), (7, 9)), ((1, 3), (4, 5)), ((6, 6), (11, 24)), ((9, 8), (5, 1))]


def _maps(size, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, *size, channels)).astype(np.float32)


def _sampled(x, size, mode="align_corners", **options):
    return np.asarray(jax.jit(lambda x: enlarge.to_size(x, size, mode, **options))(x))


@pytest.mark.torch
@pytest.mark.parametrize(("given", "wanted"), SIZES)
@pytest.mark.parametrize("mode", ["align_corners", "half_pixel"])
def test_bilinear_values_and_gradients_are_those_of_pytorch(mode, given, wanted):
    torch = pytest.importorskip("torch")
    x, pull = _maps(given), _maps(wanted, seed=1)
    theirs_x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    theirs = torch.nn.functional.interpolate(
        theirs_x, wanted, mode="bilinear", align_corners=mode == "align_corners"
    )
    theirs.backward(torch.from_numpy(pull.transpose(0, 3, 1, 2).copy()))
    ours, back = jax.vjp(lambda x: enlarge.to_size(x, wanted, mode), x)
    wanted_values = theirs.detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ours, wanted_values, atol=2e-6)
    wanted_grad = theirs_x.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(back(pull)[0], wanted_grad, atol=1e-5)


def _keys(t):
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t <= 2 else 0.0


def _cubic_line(line, wanted, scale):
    """One output and one input sample at a time, in float64."""
    mirrored = np.concatenate([line[::-1], line, line[::-1]]).astype(np.float64)
    out = []
    for i in range(wanted):
        place = (i + 0.5) / scale - 0.5 + len(line)
        out.append(sum(_keys(place - j) * v for j, v in enumerate(mirrored)))
    return np.array(out)


@pytest.mark.parametrize("scale", [None, 4.5])
@pytest.mark.parametrize(("length", "wanted"), [(5, 9), (4, 7), (3, 12), (6, 6)])
def test_cubic_is_the_textbook_sum_over_the_mirrored_map(length, wanted, scale):
    x = _maps((length, length))
    ours = _sampled(x, (wanted, wanted), "cubic", scale=scale)
    step = scale or wanted / length
    rows = np.apply_along_axis(_cubic_line, 1, x, wanted, step)
    both = np.apply_along_axis(_cubic_line, 2, rows, wanted, step)
    np.testing.assert_allclose(ours, both, atol=1e-5)


def test_four_samples_become_seven_half_steps():
    ramp = np.arange(4, dtype=np.float32)[None, :, None, None]
    ours = _sampled(ramp, (7, 1))
    np.testing.assert_array_equal(ours[0, :, 0, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3])


@pytest.mark.parametrize(("given", "wanted"), SIZES[:3])
def test_corners_stay_and_ramps_stay_straight(given, wanted):
    x = _maps(given)
    ours = _sampled(x, wanted)
    corners = np.ix_(range(2), (0, -1), (0, -1))
    np.testing.assert_array_equal(ours[corners], x[corners])
    ramp = np.linspace(-2, 3, given[1])[None, None, :, None].astype(np.float32)
    ramp = np.broadcast_to(ramp, (1, *given, 1))
    straight = np.broadcast_to(np.linspace(-2, 3, wanted[1])[:, None], (*wanted, 1))
    np.testing.assert_allclose(_sampled(ramp, wanted)[0], straight, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_constants_stay_and_equal_sizes_change_nothing(mode):
    x = np.full((1, 5, 4, 2), 0.7, np.float32)
    np.testing.assert_allclose(_sampled(x, (13, 7), mode), 0.7, atol=1e-6)
    x = jnp.asarray(_maps((5, 4)))
    assert enlarge.to_size(x, (5, 4), mode) is x


@pytest.mark.parametrize("mode", MODES)
def test_flipping_commutes_with_sampling(mode):
    x = _maps((5, 4))
    flipped = _sampled(x[:, ::-1, ::-1], (9, 11), mode)
    np.testing.assert_allclose(
        flipped, _sampled(x, (9, 11), mode)[:, ::-1, ::-1], atol=1e-6
    )


def test_sums_of_half_precision_maps_are_single():
    x = _maps((8, 8)).astype(jnp.bfloat16)
    ours = enlarge.to_size(jnp.asarray(x), (15, 15))
    assert ours.dtype == jnp.bfloat16
    exact = _sampled(x.astype(np.float32), (15, 15))
    rounded = exact.astype(jnp.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(ours, np.float32), rounded)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("given", "wanted"), SIZES)
def test_sums_of_few_entries_are_the_products_that_tpus_compute(mode, given, wanted):
    """Tangents are products on every platform, and the function is linear."""
    x = _maps(given)
    sums, products = jax.jvp(lambda x: enlarge.to_size(x, wanted, mode), (x,), (x,))
    np.testing.assert_allclose(sums, products, atol=2e-6)


def test_maps_of_double_precision_are_sampled_in_it():
    with jax.enable_x64(True):
        x = _maps((5, 4)).astype(np.float64)
        ours = enlarge.to_size(x, (9, 11), "cubic")
        products = jax.jvp(lambda x: enlarge.to_size(x, (9, 11), "cubic"), (x,), (x,))
    np.testing.assert_allclose(ours, products[1], rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("shape", "size", "options", "message"),
    [
        ((4, 4, 1), (8, 8), {}, r"\[b, h, w, c\]"),
        ((1, 4, 4, 1), (0, 8), {}, "at least 1 row"),
        ((1, 4, 4, 1), (8, 8), {"mode": "halfpixel"}, "Did you mean half_pixel"),
        ((1, 4, 4, 1), (8, 8), {"scale": 2.0}, "with 'align_corners'"),
        ((1, 4, 4, 1), (8, 8), {"mode": "cubic", "scale": -2.0}, "positive number"),
    ],
)
def test_what_cannot_be_sampled_is_refused(shape, size, options, message):
    with pytest.raises(errors.UserError, match=message):
        enlarge.to_size(jnp.zeros(shape), size, **options)


@pytest.mark.parametrize("mode", enlarge.Mode.__args__)
@pytest.mark.parametrize("size", [(9, 21), (5, 4), (1, 7), (40, 11)])
def test_without_a_device_the_samples_are_the_same(mode, size):
    x = np.random.default_rng(1).standard_normal((5, 11, 3), np.float32)
    wanted = enlarge.to_size(x[None], size, mode)[0]
    np.testing.assert_allclose(enlarge.on_host(x, size, mode), wanted, atol=1e-5)
