"""Cholesky factors of symmetric positive definite matrices, and inverses of factors.

Both halve the matrix until its blocks are small:

    [A11     ]   [L11    ] [L11' L21']        [L11    ]^-1   [ W11            ]
    [A21  A22] = [L21 L22] [     L22'],       [L21 L22]    = [-W22 L21 W11 W22].

Most of the work is then in products, which run at the rate of the device everywhere.
Factorising whole matrices of several hundred rows does not: libraries for processors
start threads for it that wait for each other, those for accelerators run through the
columns.  The inverse costs a third of what solving for the unit matrix does, which
computes the zeros too.
"""

import jax
from jax import lax
from jax import numpy as jnp

_BLOCK = 256  # rows of what is left to the library
_STEP = 16  # halves end at multiples of this


def factor(a: jax.Array) -> jax.Array:
    """Returns the lower L with L L' = A.

    Args:
        a: symmetric positive definite, only the lower triangle is read; [..., n, n].

    Returns:
        L with zeros above its diagonal, [..., n, n]; NaN somewhere if A is not positive
        definite.
    """
    half = _half(a)
    if half is None:
        return jnp.linalg.cholesky(a, symmetrize_input=False)
    one = factor(a[..., :half, :half])
    below = lax.linalg.triangular_solve(
        one, a[..., half:, :half], lower=True, transpose_a=True
    )
    rest = a[..., half:, half:] - _product(below, below.mT)
    return _join(one, below, factor(rest))


def inverse(lower: jax.Array) -> jax.Array:
    """Returns the inverse of a lower triangular matrix.

    Args:
        lower: L with a diagonal without zeros, zeros above it; [..., n, n].

    Returns:
        L^-1, lower triangular as well, [..., n, n].
    """
    half = _half(lower)
    if half is None:
        unit = jnp.broadcast_to(
            jnp.eye(lower.shape[-1], dtype=lower.dtype), lower.shape
        )
        return lax.linalg.triangular_solve(lower, unit, left_side=True, lower=True)
    one = inverse(lower[..., :half, :half])
    two = inverse(lower[..., half:, half:])
    return _join(one, -_product(two, _product(lower[..., half:, :half], one)), two)


def _half(a: jax.Array) -> int | None:
    """Rows of the first half, None where the matrix is small enough."""
    rows = a.shape[-1]
    return None if rows <= _BLOCK else -(-rows // (2 * _STEP)) * _STEP


def _join(one: jax.Array, below: jax.Array, two: jax.Array) -> jax.Array:
    above = jnp.zeros_like(below.mT)
    return jnp.concatenate(
        [jnp.concatenate([one, above], -1), jnp.concatenate([below, two], -1)], -2
    )


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")
