"""RED-Net against closed forms, NumPy references and laws it must obey."""

import chex
import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import rednet, zoo

COUNTS = {  # name: parameters for 1 and for 3 channels
    "rednet10": (296_641, 298_947),
    "rednet20": (665_921, 668_227),
    "rednet30": (1_035_201, 1_037_507),
    "rednet10_128": (1_183_105, 1_187_715),
    "rednet20_128": (2_658_945, 2_663_555),
    "rednet30_128": (4_134_785, 4_139_395),
    "rednet20_wide": (15_637_761, 15_642_371),
    "rednet30_wide": (19_768_577, 19_773_187),
}

SKIPS = {  # decoder layer: encoder layer; the authors' network definition
    10: {},
    20: {2: 8, 4: 6, 6: 4, 8: 2},
    30: {1: 14, 3: 12, 5: 10, 7: 8, 9: 6, 11: 4, 13: 2},
}


def small(depth=10, *, seed=0, bias=0.1, widths=4, **options):
    """A narrow network whose biases are random, as trained ones are."""
    options = {"last_scale": 1.0, **options}
    module = rednet.RedNet(depth, widths, **options)
    example = jnp.zeros(zoo.example_input(module).shape)
    variables = jax.jit(module.init)(jax.random.key(seed), example)
    rng = np.random.default_rng(seed)
    params = {
        name: {
            "kernel": layer["kernel"],
            "bias": jnp.asarray(rng.normal(0, bias, layer["bias"].shape), jnp.float32),
        }
        for name, layer in variables["params"].items()
    }
    return module, {"params": params}


def photo(height, width, channels=1, batch=1, seed=1):
    rng = np.random.default_rng(seed)
    return rng.random((batch, height, width, channels), np.float32)


def set_all(variables, kernel, bias=0.0):
    """The same parameters with every kernel and bias replaced."""
    return jax.tree.map(
        lambda a: jnp.full_like(a, bias) if a.ndim == 1 else kernel(a), variables
    )


def scatter_add(x, w, b, stride):
    """Transposed convolution by its definition: each input adds a patch (float64)."""
    height, width, _ = x.shape
    full = np.zeros((stride * height + 2, stride * width + 2, w.shape[1]))
    for row in range(height):
        for column in range(width):
            patch = np.einsum("i,iohw->hwo", x[row, column].astype(np.float64), w)
            top, left = stride * row, stride * column
            full[top : top + 3, left : left + 3] += patch
    # padding 1 cuts one row; output_padding stride - 1 keeps the last ones
    return full[1 : 1 + stride * height, 1 : 1 + stride * width] + b


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_published_ones(name):
    for channels, count in zip((1, 3), COUNTS[name], strict=True):
        module = zoo.create_module(name, channels=channels)
        shapes = jax.eval_shape(
            module.init, jax.random.key(0), zoo.example_input(module)
        )
        assert sum(a.size for a in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize(
    "options", [{"skip_every": 0}, {"skip_every": 4}, {"stride": 2}]
)
def test_skips_and_stride_add_no_parameters(options):
    module = zoo.create_module("rednet20", **options)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    assert sum(a.size for a in jax.tree.leaves(shapes)) == COUNTS["rednet20"][0]


def test_skip_table_is_the_published_one():
    for depth, table in SKIPS.items():
        name = f"rednet{depth}"
        assert zoo.create_module(name).skips == table


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (13, 10)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_zero_last_layer_is_the_identity(stride, size, dtype):
    module, variables = small(stride=stride, dtype=dtype, bias=0.0, last_scale=0)
    x = photo(*size) * 3 - 1
    np.testing.assert_array_equal(module.apply(variables, x), x)
    module = module.clone(global_residual=False)
    np.testing.assert_array_equal(module.apply(variables, x), np.zeros_like(x))


def test_last_layer_starts_a_tenth_as_large():
    kernels = [
        np.asarray(
            small(2, widths=256, last_scale=scale)[1]["params"]["deconv1"]["kernel"]
        )
        for scale in (1.0, 0.1)
    ]
    assert kernels[0].std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.05)
    assert kernels[1].std() == pytest.approx(0.1 * kernels[0].std(), rel=1e-3)


def test_without_weights_only_the_last_bias_is_added():
    module, variables = small(20, channels=3)
    variables = set_all(variables, jnp.zeros_like, bias=0.25)
    x = photo(6, 5, 3)
    np.testing.assert_array_equal(module.apply(variables, x), x + np.float32(0.25))


@pytest.mark.parametrize("depth", [10, 20, 30])
@pytest.mark.parametrize("relu_before_sum", [True, False])
def test_every_skip_adds_its_encoder_map(depth, relu_before_sum):
    half = depth // 2
    module, variables = small(
        depth,
        widths=1,
        bias=1.0,
        skip_every=0 if depth == 10 else 2,
        relu_before_sum=relu_before_sum,
        global_residual=False,
    )
    centre = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0)
    params = dict(variables["params"])
    for i in range(1, half + 1):  # features are constants: encoder 0 * x + b_i
        params[f"conv{i}"] = {**params[f"conv{i}"], "kernel": 0 * centre}
        params[f"deconv{i}"] = {**params[f"deconv{i}"], "kernel": centre}
    bias = {name: float(layer["bias"][0]) for name, layer in params.items()}

    z = max(bias[f"conv{half}"], 0)
    for j in range(1, half):
        z = z + bias[f"deconv{j}"]
        if j in SKIPS[depth]:
            z = max(z, 0) if relu_before_sum else z
            z += max(bias[f"conv{SKIPS[depth][j]}"], 0)
        z = max(z, 0)
    z += bias[f"deconv{half}"]

    out = module.apply({"params": params}, photo(3, 4))
    np.testing.assert_allclose(out, np.full((1, 3, 4, 1), z), rtol=1e-5)


def test_rectifying_the_sum_changes_nothing_and_before_it_does():
    module, variables = small(20)
    x = photo(12, 9)
    out = module.apply(variables, x)
    other = module.clone(relu_after_sum=False).apply(variables, x)
    np.testing.assert_array_equal(out, other)
    other = module.clone(relu_before_sum=False).apply(variables, x)
    assert np.abs(out - other).max() > 1e-3


def one_deconvolution(stride):
    """A network of two layers whose first only copies (or picks every second pixel)."""
    module, variables = small(
        2, widths=3, channels=3, stride=stride, bias=0.0, global_residual=False
    )
    copy = np.zeros((3, 3, 3, 3), np.float32)
    copy[1, 1] = np.eye(3)

    def run(x, kernel, bias):
        params = {
            "conv1": {**variables["params"]["conv1"], "kernel": jnp.asarray(copy)},
            "deconv1": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)},
        }
        return module.apply({"params": params}, jnp.asarray(x))

    return run


@pytest.mark.parametrize("stride", [1, 2])
def test_deconvolution_is_the_scatter_add_of_the_flipped_kernel(stride):
    rng = np.random.default_rng(3)
    w = rng.normal(size=(3, 3, 3, 3)).astype(np.float32)  # in, out, h, w
    b = rng.normal(size=3).astype(np.float32)
    x = photo(2 * 5, 2 * 4, 3)
    kernel = w[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    got = one_deconvolution(stride)(x, kernel, b)[0]
    want = scatter_add(x[0, ::stride, ::stride], w, b, stride)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    wrong = one_deconvolution(stride)(x, w.transpose(2, 3, 0, 1), b)[0]
    assert np.abs(wrong - want).max() > 0.1


@pytest.mark.parametrize("stride", [1, 2])
def test_deconvolution_is_the_adjoint_of_the_convolution(stride):
    rng = np.random.default_rng(4)
    k = rng.normal(size=(3, 3, 3, 3)).astype(np.float32)

    def convolve(x):
        return lax.conv_general_dilated(
            x,
            k,
            (stride, stride),
            [(1, 1), (1, 1)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    x = photo(8, 6, 3)
    y = photo(8 // stride, 6 // stride, 3, seed=5)
    full = np.zeros_like(x)
    full[:, ::stride, ::stride] = y
    kernel = k[::-1, ::-1].transpose(0, 1, 3, 2)
    back = one_deconvolution(stride)(full, kernel, np.zeros(3, np.float32))
    (want,) = jax.linear_transpose(convolve, jnp.zeros(x.shape))(jnp.asarray(y))
    np.testing.assert_allclose(back, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.vdot(convolve(x), y), np.vdot(x, back), rtol=1e-4)


def test_same_padding_would_shift_the_strided_deconvolution():
    w = np.random.default_rng(6).normal(size=(3, 3, 3, 3)).astype(np.float32)
    x = photo(8, 8, 3)
    got = one_deconvolution(2)(x, w, np.zeros(3, np.float32))
    same = lax.conv_transpose(jnp.asarray(x[:, ::2, ::2]), w, (2, 2), "SAME")
    assert np.abs(got - same).max() > 0.1
    np.testing.assert_allclose(got[:, :-1, :-1], same[:, 1:, 1:], rtol=1e-4, atol=1e-4)


def support(module, variables, size, row, column):
    """Rows and columns of the input that change one output pixel."""

    def pixel(x):
        return module.apply(variables, x)[0, row, column, 0]

    changed = np.argwhere(np.asarray(jax.grad(pixel)(jnp.ones((1, size, size, 1)))))
    return np.ptp(changed[:, 1]) + 1, np.ptp(changed[:, 2]) + 1


@pytest.mark.parametrize(("depth", "side"), [(10, 21), (20, 41), (30, 61)])
def test_receptive_field(depth, side):
    module, variables = small(depth, widths=1)
    variables = set_all(variables, lambda a: jnp.full_like(a, 1 / 3))
    assert module.receptive_field == side
    assert module.halo == side // 2
    centre = side // 2 + 3
    assert support(module, variables, side + 6, centre, centre) == (side, side)


@pytest.mark.parametrize(
    ("depth", "even", "odd"), [(10, 35, 37), (20, 75, 77), (30, 115, 117)]
)
def test_receptive_field_at_half_resolution(depth, even, odd):
    module, variables = small(depth, widths=1, stride=2)
    variables = set_all(variables, lambda a: jnp.full_like(a, 1 / 3))
    assert module.receptive_field == odd
    centre = odd // 2 + 4 + odd // 2 % 2
    size = 2 * centre + 2
    assert support(module, variables, size, centre, centre + 1) == (even, odd)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_shift_of_the_input_shifts_the_interior(stride):
    module, variables = small(4, stride=stride)
    halo, step = module.halo, 2
    x = photo(30, 31)
    moved = np.roll(x, (step, 2 * step), (1, 2))
    out, moved_out = (module.apply(variables, a) for a in (x, moved))
    inner = np.s_[:, halo + 4 : -halo - 4, halo + 4 : -halo - 4]
    back = np.roll(moved_out, (-step, -2 * step), (1, 2))
    np.testing.assert_allclose(out[inner], back[inner], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("depth", "stride"), [(10, 1), (30, 1), (10, 2)])
@pytest.mark.parametrize("corner", [(0, 0), (2, 2)])
def test_the_halo_is_enough_and_one_less_is_not(depth, stride, corner):
    # Kernels that only shift diagonally make the farthest pixel count in full.
    module, variables = small(depth, widths=1, stride=stride)
    variables = set_all(
        variables, lambda a: jnp.zeros_like(a).at[corner].set(1.0), bias=0.01
    )
    halo, step = module.halo, module.stride
    size = 2 * halo + 4 * step
    x = photo(size, size)
    whole = module.apply(variables, x)
    core = slice(halo, size - halo)

    def cut(margin):
        out = module.apply(
            variables,
            x[:, halo - margin : size - halo + margin][
                :, :, halo - margin : size - halo + margin
            ],
        )
        keep = slice(margin, margin + size - 2 * halo)
        return np.abs(out[:, keep, keep] - whole[:, core, core]).max()

    assert cut(halo) == 0
    assert cut(halo - step) > 1e-3


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (9, 14), (16, 11)])
def test_a_masked_bucket_equals_the_exact_size(stride, size):
    module, variables = small(20, stride=stride, channels=2)
    exact = photo(*size, 2, batch=2)
    bucket = np.full((2, 17, 18, 2), np.nan, np.float32)  # whatever stands there
    bucket[:, : size[0], : size[1]] = exact
    valid = np.zeros((2, 17, 18), bool)
    valid[:, : size[0], : size[1]] = True
    want = module.apply(variables, exact)
    got = module.apply(variables, bucket, valid)[:, : size[0], : size[1]]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    unmasked = module.apply(variables, np.nan_to_num(bucket))
    assert np.abs(unmasked[:, : size[0], : size[1]] - want).max() > 1e-3


def test_a_masked_window_inside_a_bucket_may_start_anywhere():
    module, variables = small(10)
    exact = photo(7, 6)
    bucket, valid = np.ones((1, 12, 12, 1), np.float32), np.zeros((1, 12, 12), bool)
    bucket[:, 3:10, 5:11], valid[:, 3:10, 5:11] = exact, True
    got = module.apply(variables, bucket, valid)[:, 3:10, 5:11]
    np.testing.assert_allclose(got, module.apply(variables, exact), atol=1e-6)


def test_a_mask_of_nothing_gives_finite_gradients():
    module, variables = small(10, stride=2)
    bucket, valid = np.full((1, 5, 5, 1), np.nan, np.float32), np.zeros((1, 5, 5), bool)
    grads = jax.grad(lambda v: module.apply(v, bucket, valid).sum())(variables)
    chex.assert_tree_all_finite(grads)


@pytest.mark.parametrize("stride", [1, 2])
def test_odd_sizes_repeat_the_last_row_and_column(stride):
    module, variables = small(10, stride=stride)
    x = photo(9, 7)
    padded = np.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)], mode="edge")
    want = module.apply(variables, padded)[:, :9, :7]
    got = module.apply(variables, x)
    assert got.shape == x.shape
    if stride == 2:
        np.testing.assert_allclose(got, want, atol=1e-6)
    else:
        assert np.abs(got - want).max() > 1e-3  # stride 1 pads zeros in every layer


def test_a_batch_equals_its_images():
    module, variables = small(20, channels=3)
    x = photo(10, 8, 3, batch=3)
    together = module.apply(variables, x)
    alone = [module.apply(variables, x[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


def test_bfloat16_stays_near_float32_and_returns_float32():
    module, variables = small(20, widths=16, bias=0.02, last_scale=0.1)
    x = photo(16, 16)
    exact = np.asarray(module.apply(variables, x))
    out = module.clone(dtype=jnp.bfloat16).apply(variables, x)
    assert out.dtype == jnp.float32
    error = np.abs(out - exact).max() / np.abs(exact - x).max()
    assert 0 < error < 0.05
    plain = module.clone(dtype=jnp.bfloat16, global_residual=False)
    assert plain.apply(variables, x).dtype == jnp.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 9}, "even depth.*depth=9"),
        ({"depth": 6, "widths": (8, 8)}, "wants 3 widths"),
        ({"depth": 4, "widths": (8, 0)}, "wants 2 widths"),
        ({"stride": 3}, "stride 1 or 2, got 3"),
        ({"channels": 0}, "channels=0"),
        ({"skip_every": -1}, "skip_every=-1"),
    ],
)
def test_impossible_networks_are_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        rednet.RedNet(**options)


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (8, 8, 1)])
def test_images_of_another_form_are_refused(shape):
    module = rednet.RedNet(2, 4)
    with pytest.raises(errors.UserError, match=r"wants images \[b, h, w, 1\], got"):
        module.init(jax.random.key(0), jnp.zeros(shape))
