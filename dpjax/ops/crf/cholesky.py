"""Inverse Cholesky factors of M-matrices, from products of blocks.

An M-matrix is symmetric and positive definite with nothing positive off its diagonal,
as a graph's Laplacian plus the unit matrix.  With A = L L', W = L^-1 solves by W'W, and
its columns are what the slope of log|A| needs.  By halves,

    [A11    ]        [ W11          ]
    [A21 A22]  has   [-W22 M W11 W22],   M = A21 W11',   W22'W22 = (A22 - M M')^-1.

Nearly all of the work is in products then, which run at the rate of the device.  Whole
matrices of several hundred rows do not: on processors, LAPACK starts threads for them
that wait for each other, up to twenty times as long beside other programs.
"""

import jax
from jax import numpy as jnp

_BLOCK = 64  # rows up to which blocks are left to the library
_STEP = 16  # halves end at multiples of this


def inverse_factor(a: jax.Array) -> jax.Array:
    """Returns the lower triangular W with W A W' = I.

    Args:
        a: an M-matrix, only the lower triangle is read; [..., n, n].

    Returns:
        W with zeros above its diagonal, [..., n, n]; NaN somewhere if A is not positive
        definite.
    """
    rows = a.shape[-1]
    if rows <= _BLOCK:
        return _inverse(jnp.linalg.cholesky(a, symmetrize_input=False))
    half = -(-rows // (2 * _STEP)) * _STEP
    one = inverse_factor(a[..., :half, :half])
    below = _product(a[..., half:, :half], one.mT)
    two = inverse_factor(a[..., half:, half:] - _product(below, below.mT))
    below = -_product(two, _product(below, one))
    top = jnp.concatenate([one, jnp.zeros_like(below.mT)], -1)
    return jnp.concatenate([top, jnp.concatenate([below, two], -1)], -2)


def _inverse(lower: jax.Array) -> jax.Array:
    """(D (I - N))^-1 = (I + N) (I + N^2) (I + N^4) ... D^-1, the last power being 0.

    No term is negative, so nothing cancels: for that A has to be an M-matrix.
    """
    diagonal = jnp.diagonal(lower, axis1=-2, axis2=-1)[..., None]
    rows = lower.shape[-1]
    power = jnp.tril(-lower / diagonal, -1)
    found = jnp.eye(rows, dtype=lower.dtype) + power
    for _ in range(1, (rows - 1).bit_length()):
        power = _product(power, power)
        found += _product(found, power)
    return found / diagonal.mT


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")
