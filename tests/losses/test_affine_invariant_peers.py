"""Losses without scale and shift beside what public code says of the same maps.

Every number comes from a run of the repository and commit that its test names, in
double precision, on the inputs below; slopes are those along DIRECTION.
"""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.losses import affine_invariant, gradient_matching

RNG = np.random.RandomState(0)  # NumPy froze its stream
SHAPE = (2, 7, 9)
TARGET = RNG.random_sample(SHAPE).astype(np.float32)
OUTPUT = (3 * TARGET - 1 + RNG.uniform(-1, 1, SHAPE)).astype(np.float32)
VALID = RNG.random_sample(SHAPE) < 0.8
DIRECTION = RNG.uniform(-1, 1, SHAPE)
WHOLE = np.ones(SHAPE, bool)


def value_and_slope(loss):
    """Of a loss of the outputs, and along DIRECTION."""
    value, slopes = jax.jit(jax.value_and_grad(loss))(jnp.asarray(OUTPUT))
    return value, (np.asarray(slopes, np.float64) * DIRECTION).sum()


def test_scale_and_shift_are_those_of_zoedepth():
    # isl-org/ZoeDepth, d87f17b, zoedepth/trainers/loss.py, compute_scale_and_shift.
    scale, shift = affine_invariant.fit(OUTPUT, TARGET, VALID)
    wanted = [0.22395729291157881, 0.23284504708198916]
    np.testing.assert_allclose(scale, wanted, rtol=1e-6)
    wanted = [0.385483245811991, 0.39989395695944235]
    np.testing.assert_allclose(shift, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("reduction", "gradient", "value", "slope"),
    [
        ("image", 0.0, 0.010029747910837338, 0.001156089320987022),
        ("image", 0.5, 0.3809593697219722, 0.010683184048340887),
        ("batch", 0.0, 0.010110456806806386, 0.0012612343357236455),
    ],
)
def test_squared_errors_and_slopes_are_those_of_monosdf(
    reduction, gradient, value, slope
):
    # autonomousvision/monosdf, 1251300, code/model/loss.py, "copy from MiDaS",
    # ScaleAndShiftInvariantLoss with its reductions by image and by batch.  That by
    # batch also divides the gradient term by the pixels of the batch; ours is a mean
    # of each image.
    def loss(output):
        options = {"gradient": gradient}
        sums, counts = affine_invariant.squared_error(output, TARGET, VALID, **options)
        if reduction == "image":
            return (sums / counts).mean()
        return sums.sum() / counts.sum()

    found = value_and_slope(loss)
    np.testing.assert_allclose(found, (value, slope), rtol=1e-5)


@pytest.mark.parametrize(
    ("scales", "value", "slope"),
    [
        (4, 4.511103839380088, -0.00476210305245622),
        (2, 2.915475700748506, -0.0013447264442680833),
    ],
)
def test_gradient_matching_is_that_of_monosdf(scales, value, slope):
    # The same file, GradientLoss with its reduction by image.
    def loss(output):
        terms, _ = gradient_matching.gradient_matching(
            output, TARGET, VALID, scales=scales
        )
        return terms.mean()

    found = value_and_slope(loss)
    np.testing.assert_allclose(found, (value, slope), rtol=1e-5)


@pytest.mark.parametrize(
    ("trim", "gradient", "wanted"),
    [
        (0.0, 0.0, [(0.2552826090032688, 0.0212387), (0.3271394457227320, 0.1739859)]),
        (0.2, 0.0, [(0.1510808540750711, 0.0050398), (0.1723771515039536, 0.1117185)]),
        (0.2, 0.5, [(2.0622637899185987, 0.6552660), (2.3908878202897648, 0.1331600)]),
    ],
)
def test_trimmed_errors_and_slopes_are_those_of_the_code_of_midas(
    trim, gradient, wanted
):
    # maciekbaczmanski/mt_kria, 64cdc83, code/train/loss.py, TrimmedProcrustesLoss of
    # single images: a copy of what the authors of MiDaS published as a gist.  Its
    # trimming cuts the pair that torch.sort returns, sorted values and places, to 50
    # entries, and so leaves nothing out: its own numbers, also for trim=0.2, are those
    # in the first row.  The others are with the cut at the values, as in the paper
    # (eq. 7).  Its median is over all pixels, those that are not valid as 0, and of an
    # even number the lower one of two; here all of 63 are valid, where both agree.
    def values(output):
        sums, counts = affine_invariant.trimmed_error(
            output, TARGET, WHOLE, trim=trim, gradient=gradient
        )
        return (sums / counts).sum(), sums / counts

    slopes_of = jax.jit(jax.grad(values, has_aux=True))
    slopes, found = slopes_of(jnp.asarray(OUTPUT))
    along = (np.asarray(slopes, np.float64) * DIRECTION).sum((1, 2))
    wanted_values, wanted_slopes = zip(*wanted, strict=True)
    np.testing.assert_allclose(found, wanted_values, rtol=1e-6)
    np.testing.assert_allclose(along, wanted_slopes, atol=1e-6)
