"""Pairs of random dots whose disparities are known."""

import functools

import jax
import numpy as np

from dpjax.ops.stereo import matching

BEHIND, BEFORE = 4, 12  # disparities of the plane and of the square, pixels
SQUARE = np.s_[40:90, 70:120]  # of the left view


def pair(height=128, width=192, seed=0, channels=3, behind=BEHIND, before=BEFORE):
    """Left and right view, uint8 [h, w, c], and the disparities of the left one."""
    far, near = (_texture(height, width + 64, seed + i, channels) for i in (0, 1))
    truth = np.full((height, width), behind, np.float32)
    left = far[:, 32 : 32 + width].copy()
    right = far[:, 32 + behind : 32 + behind + width].copy()
    rows, columns = SQUARE
    moved = slice(columns.start - before, columns.stop - before)
    left[SQUARE] = right[rows, moved] = near[SQUARE]
    truth[SQUARE] = before
    return left, right, truth


def quickly_compiled(left, right, settings):
    """`matching.match`, where compiling is nearly all of the work."""
    return _program(settings)(left, right)


@functools.cache
def _program(settings, match=matching.match):
    call = functools.partial(match, settings=settings)
    return jax.jit(call, compiler_options={"xla_backend_optimization_level": 0})


def _texture(height, width, seed, channels):
    rng = np.random.default_rng(seed)
    noise = rng.random((height + 2, width + 2, channels))
    for axis in (0, 1):
        part = [
            np.take(noise, range(i, noise.shape[axis] - 2 + i), axis) for i in (0, 1, 2)
        ]
        noise = (part[0] + 2 * part[1] + part[2]) / 4
    return np.rint(255 * noise).astype(np.uint8)
