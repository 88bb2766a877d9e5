"""Quadratic forms of the logarithm of a matrix that can only be multiplied by.

Lanczos' tridiagonal matrix of A and v has the Gauss quadrature of v' f(A) v in its
eigenvalues and in the first entries of its eigenvectors (Golub & Meurant, "Matrices,
Moments and Quadrature", 1994).  With random signs for v the mean is the trace of f(A)
(Ubaru, Chen & Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature",
SIAM J. Matrix Anal. Appl. 38, 2017).
"""

from collections.abc import Callable

import jax
from jax import lax
from jax import numpy as jnp


def quadratic_log(
    multiply: Callable[[jax.Array], jax.Array], v: jax.Array, steps: int
) -> jax.Array:
    """Returns v' log(A) v.

    Exact where A has at most `steps` different eigenvalues; otherwise a little high.
    The error falls as exp(-4 steps / sqrt(condition number of A)) or faster.

    Args:
        multiply: x to A x, A being symmetric and positive definite.
        v: of any shape, not 0.
        steps: products with A.

    Returns:
        A number.
    """
    tiny = jnp.finfo(v.dtype).tiny
    square = (v * v).sum()

    def step(state, _):
        before, now, beta = state
        image = multiply(now) - beta * before
        alpha = (image * now).sum()
        image -= alpha * now
        beta = jnp.sqrt((image * image).sum())
        return (now, image / jnp.maximum(beta, tiny), beta), (alpha, beta)

    start = (jnp.zeros_like(v), v / jnp.sqrt(square), jnp.zeros_like(square))
    alphas, betas = lax.scan(step, start, length=steps)[1]
    beside = jnp.diag(betas[:-1], 1)
    values, vectors = jnp.linalg.eigh(jnp.diag(alphas) + beside + beside.T)
    # Once v is used up the rest is zeros, and without weight.
    weights = jnp.where(values > 0, vectors[0] ** 2, 0)
    return square * (weights * jnp.log(jnp.where(values > 0, values, 1))).sum()
