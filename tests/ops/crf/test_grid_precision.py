"""Gaussian CRFs on pixels against dense and sparse matrices in float64."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from scipy import sparse
from scipy.sparse import linalg

from dpjax import errors
from dpjax.ops.crf import grid_precision, grid_weights

# The last has coarser grids; the others are solved by the coarsest alone.
SIZES = [(1, 1), (1, 9), (7, 1), (13, 22)]
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


def random_weights(size, batch=(), seed=0, decades=2.0):
    """Weights to the right and down over some orders of magnitude, float64."""
    rng = np.random.default_rng(seed)
    h, w = size
    shapes = (*batch, h, w - 1), (*batch, h - 1, w)
    return [10 ** rng.uniform(1 - decades, 1, shape) for shape in shapes]


def random_maps(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def sparse_matrix(right, down, unary=None):
    """A of one image, edge by edge."""
    h, w = down.shape[0] + 1, right.shape[1] + 1
    place = np.arange(h * w).reshape(h, w)
    first = np.concatenate([place[:, :-1].ravel(), place[:-1].ravel()])
    second = np.concatenate([place[:, 1:].ravel(), place[1:].ravel()])
    each = np.concatenate([right.ravel(), down.ravel()]).astype(np.float64)
    pairs = np.concatenate([first, second]), np.concatenate([second, first])
    beside = sparse.coo_matrix((np.tile(each, 2), pairs), (h * w, h * w)).tocsc()
    own = np.ones(h * w) if unary is None else np.ravel(unary).astype(np.float64)
    return sparse.diags(own + np.asarray(beside.sum(1)).ravel()).tocsc() - beside


def dense_matrix(right, down, unary=None):
    return sparse_matrix(right, down, unary).toarray()


def photograph(size, seed=2):
    """What makes weights differ: edges of regions, a ramp, texture, flat parts, noise.

    uint8 [h, w, 3].
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : 1 : size[0] * 1j, 0 : 1 : size[1] * 1j]
    image = np.stack([rows, columns, 1 - rows], -1) * 100 + 50
    for _ in range(30):
        y, x, across = rng.random(3)
        inside = np.abs(rows - y) + np.abs(columns - x) < 0.3 * across
        image[inside] = rng.uniform(0, 255, 3)
    image += 20 * np.sin(300 * rows * columns)[..., None] * (columns > 0.5)[..., None]
    image += rng.normal(0, 4, image.shape) * (rows > 0.3)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def single(function):
    return jax.jit(function, compiler_options=QUICKLY)


def double(function):
    """The function compiled, and called in float64."""
    compiled = single(function)

    def call(*given):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, compiled(*given))

    return call


def solved(right, down, b, unary=None, **options):
    precision = grid_precision.from_weights(right, down, unary=unary)
    return precision.solve(b, **{"tolerance": 1e-13, **options})


def counted(right, down, b, **options):
    return grid_precision.from_weights(right, down).solve_and_count(b, **options)


@pytest.mark.parametrize("size", SIZES)
def test_everything_is_that_of_the_dense_matrix(size):
    right, down = random_weights(size)
    unary = np.random.default_rng(3).uniform(0.2, 2, size)
    x = random_maps(*size)
    a = dense_matrix(right, down, unary)

    def all_of_it(right, down, unary, x):
        p = grid_precision.from_weights(right, down, unary=unary)
        solution = p.solve(x, tolerance=1e-13)
        rest = p.log_determinant(), p.inverse_diagonal()
        return p.times(x), solution, p.quadratic(x), *rest

    times, solution, quadratic, determinant, diagonal = double(all_of_it)(
        right, down, unary, x
    )
    near = functools.partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10)
    near(times.ravel(), a @ x.ravel())
    near(solution.ravel(), np.linalg.solve(a, x.ravel()))
    near(quadratic, x.ravel() @ a @ x.ravel())
    near(determinant, np.linalg.slogdet(a)[1])
    near(diagonal.ravel(), np.diag(np.linalg.inv(a)))


def test_the_elimination_takes_lines_along_the_shorter_side():
    determinant = double(
        lambda *weights: grid_precision.from_weights(*weights).log_determinant()
    )
    for size in ((4, 9), (9, 4), (5, 5)):
        right, down = random_weights(size)
        found = determinant(right, down)
        want = np.linalg.slogdet(dense_matrix(right, down))[1]
        np.testing.assert_allclose(found, want, rtol=1e-12)


def test_single_precision_is_as_near_as_sparse_elimination_at_full_size():
    size = (240, 320)
    image = photograph(size)
    depth = 3 + 2 * photograph(size, seed=4)[..., 0] / 255 + 0.1 * random_maps(*size)

    @jax.jit
    def smooth(image, depth, beta, gamma):
        weights = grid_weights.from_images(image, beta, gamma)
        precision = grid_precision.from_weights(*weights)
        return weights, *precision.solve_and_count(depth)

    for beta, gamma, most in ((1, 10, 6), (100, 10, 20), (1000, 10, 32), (100, 50, 25)):
        weights, found, count = smooth(image, depth.astype(np.float32), beta, gamma)
        matrix = sparse_matrix(*(np.asarray(w) for w in weights))
        want = linalg.spsolve(matrix, depth.ravel(), permc_spec="MMD_AT_PLUS_A")
        error = np.abs(np.asarray(found) - want.reshape(size)).max()
        assert error < 1e-4 * np.abs(want).max()
        assert count <= most
        # Not by chance: it is not the map that was given.
        assert np.abs(want - depth.ravel()).max() > 0.1


def test_iterations_do_not_grow_with_the_image():
    right, down = random_weights((192, 256), decades=3.0)
    b = random_maps(192, 256)
    counts = []
    for h, w in ((48, 64), (96, 128), (192, 256)):
        given = 10 * right[:h, : w - 1], 10 * down[: h - 1, :w], b[:h, :w]
        given = [x.astype(np.float32) for x in given]
        counts.append(int(single(counted)(*given)[1]))
    assert max(counts) < 1.3 * min(counts)


def test_slopes_of_solutions_are_implicit_and_right():
    size = (6, 7)
    right, down = random_weights(size)
    unary, b, pull = (random_maps(*size, seed=s) for s in (5, 6, 7))
    unary = np.exp(unary)
    want_mu = np.linalg.solve(dense_matrix(right, down, unary), b.ravel())
    want_w = np.linalg.solve(dense_matrix(right, down, unary), pull.ravel())
    mu, w = want_mu.reshape(size), want_w.reshape(size)
    slopes = double(
        jax.grad(lambda *given: (solved(*given) * pull).sum(), argnums=(0, 1, 2, 3))
    )(right, down, b, unary)
    wanted = (
        -(w[:, :-1] - w[:, 1:]) * (mu[:, :-1] - mu[:, 1:]),
        -(w[:-1] - w[1:]) * (mu[:-1] - mu[1:]),
        w,
        -w * mu,
    )
    for found, want in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-11)


def difference_quotient(function, given, along, step=1e-5):
    moved = (
        function(*(x + sign * step * a for x, a in zip(given, along, strict=True)))
        for sign in (1, -1)
    )
    return (next(moved) - next(moved)) / (2 * step)


@pytest.mark.parametrize("what", ["log_determinant", "inverse_diagonal", "solve"])
def test_slopes_are_quotients_of_differences(what):
    size = (5, 4)
    right, down = random_weights(size)
    unary, pull = np.exp(random_maps(*size)), random_maps(*size, seed=8)

    def value(right, down, unary):
        precision = grid_precision.from_weights(right, down, unary=unary)
        if what == "solve":
            return (pull * precision.solve(pull**2, tolerance=1e-14)).sum()
        found = getattr(precision, what)()
        return found if found.ndim == 0 else (pull * found).sum()

    given = right, down, unary
    along = [random_maps(*x.shape, seed=9) * x for x in given]
    slopes = double(jax.grad(value, argnums=(0, 1, 2)))(*given)
    found = sum((s * a).sum() for s, a in zip(slopes, along, strict=True))
    ahead = double(lambda *xs: jax.jvp(value, xs[:3], xs[3:])[1])(*given, *along)
    want = difference_quotient(double(value), given, along)
    np.testing.assert_allclose([found, ahead], want, rtol=1e-6)


def test_a_batch_is_its_images_one_by_one():
    batch, size = (2, 2), (13, 22)
    right, down = random_weights(size, batch)
    right[1], down[1] = 0.01 * right[1], 0.01 * down[1]
    b = random_maps(*batch, *size)

    def all_of_it(right, down, b):
        p = grid_precision.from_weights(right, down)
        rest = p.times(b), p.quadratic(b), p.log_determinant(), p.inverse_diagonal()
        return *p.solve_and_count(b), *rest

    computed = double(all_of_it)
    together = computed(right, down, b)
    assert len(np.unique(together[1])) > 1  # each stops by itself
    for i in np.ndindex(batch):
        alone = computed(right[i], down[i], b[i])
        for found, want in zip(together, alone, strict=True):
            np.testing.assert_allclose(found[i], want, rtol=1e-12, atol=1e-14)


def test_images_computed_together_stop_by_themselves_as_well():
    """What accelerators run, and what a caller's own vmap does."""
    right, down = (
        x.astype(np.float32) for x in random_weights((13, 22), (3,), decades=3)
    )
    b = random_maps(3, 13, 22).astype(np.float32)
    right[1], down[1] = 0, 0

    found, counts = single(jax.vmap(counted))(right, down, b)
    want, alone = single(counted)(right, down, b)
    np.testing.assert_allclose(found, want, atol=1e-6)
    np.testing.assert_array_equal(counts, alone)
    assert counts[1] < counts[0]
    slope = jax.grad(lambda *x: (counted(*x)[0] ** 2).sum())
    given = right, down, b
    together, in_turns = single(jax.vmap(slope))(*given), single(slope)(*given)
    np.testing.assert_allclose(together, in_turns, rtol=1e-3, atol=1e-4)


def test_padding_changes_nothing():
    right, down = random_weights((8, 9))
    b = random_maps(8, 9)
    valid = np.zeros((8, 9), bool)
    valid[:5, :7] = True

    def all_of_it(right, down, b, valid):
        p = grid_precision.from_weights(right, down, valid=valid)
        return p.solve(b, tolerance=1e-13), p.inverse_diagonal(), p.log_determinant()

    padded = double(all_of_it)(right, down, np.where(valid, b, 0), valid)
    cropped = double(all_of_it)(right[:5, :6], down[:4, :7], b[:5, :7], valid[:5, :7])
    np.testing.assert_allclose(padded[0][:5, :7], cropped[0], rtol=1e-10)
    np.testing.assert_allclose(padded[1][:5, :7], cropped[1], rtol=1e-10)
    np.testing.assert_allclose(padded[2], cropped[2], rtol=1e-12)
    assert not padded[0][~valid].any()
    assert not double(jax.grad(lambda *x: all_of_it(*x)[0].sum()))(
        right, down, b, valid
    )[5:].any()


def test_holes_are_filled_from_what_surrounds_them():
    size = (24, 30)
    right, down = random_weights(size)
    is_known = np.random.default_rng(10).random(size) < 0.1
    unary = np.where(is_known, 2.0, 0.0)
    z = np.where(is_known, random_maps(*size), np.nan)

    def fill(right, down, unary, z):
        precision = grid_precision.from_weights(right, down, unary=unary)
        return precision.mean(z, tolerance=1e-13)

    found = double(fill)(right, down, unary, z)
    matrix = dense_matrix(right, down, unary)
    want = np.linalg.solve(matrix, np.where(is_known, 2 * z, 0).ravel())
    np.testing.assert_allclose(found.ravel(), want, rtol=1e-9, atol=1e-9)
    known = z[is_known]
    assert known.min() < found.min() < found.max() < known.max()
    slope = double(jax.grad(lambda *given: fill(*given).sum(), argnums=3))
    of_z = slope(right, down, unary, z)
    # A constant more everywhere is a constant more in every hole.
    np.testing.assert_allclose(of_z.sum(), z.size)
    assert not of_z[~is_known].any()


def test_known_pixels_are_the_ground_of_the_others():
    size = (6, 7)
    right, down = random_weights(size)
    rng = np.random.default_rng(11)
    unary, nodes = rng.uniform(0.5, 2, size), rng.random(size) < 0.6
    x = random_maps(*size)
    a = dense_matrix(right, down, unary)
    m = np.diag(nodes.ravel().astype(float))
    want = m @ a @ m + np.diag(1 - nodes.ravel())

    def restricted(right, down, unary, x, nodes):
        p = grid_precision.from_weights(right, down, unary=unary).restricted(nodes)
        return p.times(x), p.solve(x, tolerance=1e-13), p.log_determinant()

    times, solution, determinant = double(restricted)(right, down, unary, x, nodes)
    np.testing.assert_allclose(times.ravel(), want @ x.ravel(), rtol=1e-10)
    np.testing.assert_allclose(
        solution.ravel(), np.linalg.solve(want, x.ravel()), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(determinant, np.linalg.slogdet(want)[1], rtol=1e-12)


def test_without_weights_a_is_the_unit_matrix():
    b = random_maps(13, 22).astype(np.float32)

    @single
    def all_of_it(right, down, b):
        p = grid_precision.from_weights(right, down)
        rest = p.times(b), p.log_determinant(), p.inverse_diagonal()
        return *p.solve_and_count(b), p.solve_and_count(0 * b), *rest

    found, count, nothing, *rest = all_of_it(np.zeros((13, 21)), np.zeros((12, 22)), b)
    np.testing.assert_allclose(found, b, rtol=0, atol=1e-4)
    for have, want in zip(rest, (b, 0, 1), strict=True):
        np.testing.assert_array_equal(have, want)
    assert not nothing[0].any()
    assert (count > 0) & (nothing[1] == 0)


def test_rows_of_the_inverse_are_averages():
    right, down = random_weights((13, 22))
    b = random_maps(13, 22)
    smooth = double(solved)
    np.testing.assert_allclose(smooth(right, down, 0 * b + 1), 1, rtol=1e-11)
    mean = smooth(right, down, b)
    np.testing.assert_allclose(mean.sum(), b.sum(), rtol=1e-10)
    assert b.min() < mean.min() < mean.max() < b.max()
    flat = smooth(1e6 * right, 1e6 * down, b)
    np.testing.assert_allclose(flat, b.mean(), atol=1e-3)


def test_half_precision_is_computed_in_single():
    right, down = (jnp.asarray(x, jnp.bfloat16) for x in random_weights((9, 8)))
    b = jnp.asarray(random_maps(9, 8), jnp.bfloat16)
    precision = grid_precision.from_weights(right, down)
    assert precision.dtype == jnp.float32
    found = precision.solve(b, tolerance=1e-6)
    assert found.dtype == jnp.float32
    exact = np.linalg.solve(
        dense_matrix(*(np.asarray(x, np.float64) for x in (right, down))),
        np.asarray(b, np.float64).ravel(),
    )
    np.testing.assert_allclose(np.ravel(found), exact, atol=1e-5)


def test_iterations_end_where_they_are_told_to():
    right, down = random_weights((13, 22), decades=3)
    b = random_maps(13, 22)
    exact = np.linalg.solve(dense_matrix(right, down), b.ravel()).reshape(b.shape)
    missing, counts = [], []
    for options in ({"max_iterations": 1}, {"tolerance": 1e-2}, {"tolerance": 1e-6}):
        x, count = double(functools.partial(counted, **options))(right, down, b)
        rest = b.ravel() - dense_matrix(right, down) @ x.ravel()
        missing.append(np.linalg.norm(rest) / np.linalg.norm(b))
        counts.append(count.item())
        error = np.linalg.norm(x - exact) / np.linalg.norm(b)
        assert error < missing[-1]  # no eigenvalue is below 1
    assert counts[0] == 1
    assert missing[0] > 1e-2
    assert 1e-4 < missing[1] < 1e-2
    assert 1e-9 < missing[2] < 1e-6


def test_what_is_not_finite_is_not_hidden():
    right, down = random_weights((13, 22), (3,))
    b = random_maps(3, 13, 22)
    b[1, 3, 4], b[2, 0, 0] = np.nan, np.inf
    found, _ = double(counted)(right, down, b)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


def test_wrong_shapes_are_refused():
    right, down = np.ones((5, 3)), np.ones((4, 4))
    with pytest.raises(errors.UserError, match=r"got \[5, 3\] and \[5, 4\]"):
        grid_precision.from_weights(right, np.ones((5, 4)))
    with pytest.raises(errors.UserError, match=r"got \[3\] and \[4, 4\]"):
        grid_precision.from_weights(np.ones(3), down)
    with pytest.raises(errors.UserError, match=r"got \[2, 5, 3\] and \[4, 4\]"):
        grid_precision.from_weights(np.ones((2, 5, 3)), down)
    with pytest.raises(errors.UserError, match=r"wants unary \[5, 4\], got \[4, 5\]"):
        grid_precision.from_weights(right, down, unary=np.ones((4, 5)))
    with pytest.raises(errors.UserError, match="wants valid"):
        grid_precision.from_weights(right, down, valid=np.ones((4, 5), bool))
    precision = grid_precision.from_weights(right, down)
    for method in ("times", "solve", "mean", "quadratic", "restricted"):
        with pytest.raises(errors.UserError, match=r"\[5, 4\], as its pixels are"):
            getattr(precision, method)(np.ones((2, 5, 4)))
    with pytest.raises(errors.UserError, match="positive tolerance"):
        precision.solve(np.ones((5, 4)), tolerance=0.0)
