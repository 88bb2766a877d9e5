"""Sums over all pairs of pixels with Gaussian weights, on the permutohedral lattice.

Adams, Baek & Davis (Eurographics 2010): values are spread onto the corners of the
simplex around each point, blurred along the d + 1 directions of the lattice and read
back at the points.  The work grows with n, not n^2.  What comes out is near the exact
sums times a constant: normalised, it is wrong by some thousandths on average, and by
tens of percent at single pixels that resemble no others.  The public dense CRFs compute
the same, so that published results contain the same errors.

Their hash tables are filled pixel by pixel.  Here all corners enter at once, in rounds:
those that still look for a slot claim the next one of theirs, one of the claimants
wins, and whoever finds its own key there is done.  Equal keys walk the same way, hence
arrive together.  Shapes are static (n points have at most n (d + 1) corners), while
loops run over the cells that exist.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

_CHUNK = 1 << 14  # cells that are blurred, or look for neighbours, at a time


class Lattice(NamedTuple):
    """Where the points lie between the cells, and which cells are neighbours.

    Attributes:
        corners: cells around each point, int32 [n, d + 1].
        shares: barycentric coordinates of each point among them, [n, d + 1]; their sum
            is 1.
        ahead: the next cell in each direction, int32 [d + 1, rows]; the last row, which
            is always empty, where there is none.
        behind: the one on the other side, likewise.
        count: how many of the rows are cells.
    """

    corners: jax.Array
    shares: jax.Array
    ahead: jax.Array
    behind: jax.Array
    count: jax.Array


def prepare(features: jax.Array, widths: jax.Array) -> Lattice:
    """Returns the lattice around the pixels.

    Args:
        features: place and colour, [h, w, d].
        widths: of the Gaussian along each of them, [d].

    Returns:
        What `apply` needs.
    """
    axes = features.shape[-1]
    keys, shares = _simplices((features / widths).reshape(-1, axes))
    keys = keys.reshape(-1, axes)  # [n (d + 1), d]
    table, slots = _fill(keys)
    owners = table[slots]
    is_first = owners == jnp.arange(len(keys))
    numbers = jnp.cumsum(is_first, dtype=jnp.int32) - 1
    count = is_first.sum()
    # One row at least stays empty, for the neighbours that do not exist.
    rows = _round_up(len(keys) + 1)
    (firsts,) = jnp.nonzero(is_first, size=rows, fill_value=0)
    steps = np.ones((axes + 1, axes), np.int32) - np.eye(axes + 1, axes, dtype=np.int32)
    steps -= axes * np.eye(axes + 1, axes, dtype=np.int32)

    def look(i, ahead):
        cells = i * _CHUNK + jnp.arange(_CHUNK)
        wanted = (
            keys[lax.dynamic_slice(firsts, (i * _CHUNK,), (_CHUNK,))] + steps[:, None]
        )
        found = _find(table, keys, wanted)  # [d + 1, chunk]
        is_there = (found >= 0) & (cells < count)
        found = jnp.where(is_there, numbers[found], rows - 1)
        return lax.dynamic_update_slice(ahead, found, (0, i * _CHUNK))

    nowhere = jnp.full_like(keys, rows - 1, jnp.int32, (axes + 1, rows))
    ahead = lax.fori_loop(0, _chunks(count), look, nowhere)
    behind = jax.vmap(_inverse)(ahead)
    return Lattice(numbers[owners].reshape(-1, axes + 1), shares, ahead, behind, count)


def apply(lattice: Lattice, values: jax.Array, transpose: bool = False) -> jax.Array:
    """Returns about c sum_j exp(-|f_i - f_j|^2 / 2) values_j for every pixel i.

    Args:
        lattice: of `prepare`.
        values: [h, w, k].
        transpose: blurs along the directions in the opposite order; where cells have no
            neighbours the order matters, and the matrix is not quite symmetric.

    Returns:
        [h, w, k]; the constant c depends on the number of features only.
    """
    rows = lattice.ahead.shape[1]
    flat = values.reshape(-1, values.shape[-1])
    whole = functools.partial(_filter, rows=rows, transpose=transpose)
    # Clearing rows that stay empty can cost more than all else.  Most photographs have
    # fewer cells than pixels, a sixth of the rows.
    few = _round_up(len(flat) + 1)
    if few == rows:
        return whole(lattice, flat).reshape(values.shape)
    part = functools.partial(_filter, rows=few, transpose=transpose)
    sums = lax.cond(lattice.count < few, part, whole, lattice, flat)
    return sums.reshape(values.shape)


def _filter(lattice, flat, *, rows, transpose):
    """Spreads, blurs and reads back; of the `rows` of the table the last is empty."""
    directions = len(lattice.ahead)
    ahead, behind = (
        jnp.minimum(side[:, :rows], rows - 1)
        for side in (lattice.ahead, lattice.behind)
    )
    cells = spare = jnp.zeros_like(flat, shape=(rows, flat.shape[-1]))
    for corner in range(directions):
        share = lattice.shares[:, corner, None]
        cells = cells.at[lattice.corners[:, corner]].add(share * flat)
    for i in range(directions)[:: -1 if transpose else 1]:
        cells, spare = _blur(cells, spare, ahead[i], behind[i], lattice.count), cells
    return sum(
        lattice.shares[:, corner, None] * cells[lattice.corners[:, corner]]
        for corner in range(directions)
    )


def _blur(cells, target, ahead, behind, count):
    """Each cell and half of its two neighbours, written over `target`."""

    def blur_chunk(i, target):
        begin = i * _CHUNK
        one, other = (
            cells[lax.dynamic_slice(side, (begin,), (_CHUNK,))]
            for side in (ahead, behind)
        )
        own = lax.dynamic_slice(cells, (begin, 0), (_CHUNK, cells.shape[-1]))
        return lax.dynamic_update_slice(target, own + 0.5 * (one + other), (begin, 0))

    return lax.fori_loop(0, _chunks(count), blur_chunk, target)


def _chunks(count):
    return (count + _CHUNK - 1) // _CHUNK


def _round_up(rows):
    return -(-rows // _CHUNK) * _CHUNK


def _inverse(ahead):
    """The cell behind each: i where ahead[i] = j; the last row means none."""
    none = len(ahead) - 1
    target = jnp.where(ahead == none, len(ahead), ahead)
    return (
        jnp.full_like(ahead, none)
        .at[target]
        .set(jnp.arange(len(ahead), dtype=ahead.dtype), mode="drop")
    )


def _simplices(points):
    """Corners of the simplex around each point, and its barycentric coordinates.

    The lattice A*_d lies in the plane of R^(d+1) where coordinates sum to 0.  Its
    points have integer coordinates that all leave the same remainder modulo d + 1.  The
    nearest point of remainder 0 is found by rounding; the differences to it, sorted,
    name the simplex (paper, section 3.2).
    """
    axes = points.shape[-1]
    size = axes + 1
    # Orthogonal columns (1, ..., 1, -j, 0, ..., 0): an isometry into the plane.
    basis = np.zeros((size, axes))
    for j in range(1, size):
        basis[:j, j - 1], basis[j, j - 1] = 1, -j
        basis[:, j - 1] /= np.sqrt(j * (j + 1))
    # Spreading, blurring and reading together then have deviation 1 (paper, section 3).
    basis *= size * np.sqrt(2 / 3)
    lifted = jnp.matmul(points, basis.T.astype(points.dtype), precision="highest")
    base = size * jnp.floor(lifted / size + 0.5)
    rest = lifted - base
    # Ranks from the largest difference down; of equal ones the earlier axis is first.
    above = rest[:, None, :] > rest[:, :, None]
    ties = rest[:, None, :] == rest[:, :, None]
    before = np.tri(size, k=-1, dtype=bool)
    rank = (above | (ties & before)).sum(-1)
    # Rounding may leave the plane by a multiple of d + 1: the extreme axes go back.
    rank = rank + (base.sum(-1, keepdims=True) / size).astype(jnp.int32)
    wrap = (rank < 0).astype(jnp.int32) - (rank > axes).astype(jnp.int32)
    rank, base = rank + size * wrap, base + size * wrap
    falling = -jnp.sort(-(lifted - base), axis=-1) / size  # by rank
    shares = falling[:, ::-1] - jnp.roll(falling[:, ::-1], 1, axis=-1)
    shares = shares.at[:, 0].add(1.0)
    remainder = np.arange(size)[:, None]
    is_past = rank[:, None, :] > axes - remainder
    keys = base.astype(jnp.int32)[:, None, :] + remainder - size * is_past
    return keys[..., :axes], shares  # the last coordinate follows from the others


def _slot(keys, size):
    """Where a key begins to look in a table of `size` slots, a power of two."""
    golden = 0x9E3779B1  # 2^32 over the golden ratio: spreads multiples evenly
    odd = [pow(golden, i + 1, 2**32) for i in range(keys.shape[-1])]
    mixed = (keys.astype(jnp.uint32) * jnp.array(odd, jnp.uint32)).sum(
        -1, dtype=jnp.uint32
    )
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(golden)
    return (mixed >> (33 - size.bit_length())).astype(jnp.int32)


def _fill(keys):
    """A table of row numbers with one row for each key, and the slot of every row."""
    size = 1 << (2 * len(keys) - 1).bit_length()  # at most half full
    rows = jnp.arange(len(keys), dtype=jnp.int32)

    def claim(state):
        table, slots, is_looking = state
        is_claim = is_looking & (table[slots] < 0)
        table = table.at[slots].max(jnp.where(is_claim, rows, -1))
        is_looking &= (keys[table[slots]] != keys).any(-1)
        return table, jnp.where(is_looking, (slots + 1) % size, slots), is_looking

    # Made like the keys, so that they vary over devices as these do.
    nothing = jnp.full_like(keys, -1, jnp.int32, size)
    everybody = jnp.ones_like(keys, bool, len(keys))
    start = nothing, _slot(keys, size), everybody
    table, slots, _ = lax.while_loop(lambda state: state[2].any(), claim, start)
    return table, slots


def _find(table, keys, wanted):
    """The row of each key in the table, -1 where it is not there."""

    def step(state):
        slots, _ = state
        rows = table[slots]
        is_looking = (rows >= 0) & (keys[rows] != wanted).any(-1)
        return jnp.where(is_looking, (slots + 1) % len(table), slots), is_looking

    start = _slot(wanted, len(table)), jnp.ones_like(wanted, bool, wanted.shape[:-1])
    slots, _ = lax.while_loop(lambda state: state[1].any(), step, start)
    return table[slots]
