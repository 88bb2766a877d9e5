"""How alike two superpixels look, in three ways (DCNF-FCSP, released settings).

Texture, colour histogram and mean colour, in the order of the published weights of the
pairwise terms.  The similarity of two superpixels by feature k is

    S_k = exp(-gamma_k |f_k(p) - f_k(q)| / sqrt(dim_k));

the root of the dimension is in the authors' code, not in the paper's formula.
"""

import numpy as np

from dpjax import errors
from dpjax.ops import colour

NAMES = ("texture", "histogram", "colour")
GAMMAS = (50.0, 25.0, 0.1)
PATCH = 8  # pixels, side of the patch whose texture counts
BINS = 11  # of each channel's histogram
PATTERNS = 58  # uniform patterns of eight neighbours, all equal, and the rest

# The neighbours of a pixel, east first, then through south, in bits from the lowest.
_NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
# CIE RGB (white E) to XYZ.
_XYZ = np.array(
    [
        [0.488718, 0.310680, 0.200602],
        [0.176204, 0.812985, 0.0108109],
        [0.0, 0.0102048, 0.989795],
    ]
)
_GAMMA = 2.2
_WHITE = (4 / 19, 9 / 19)  # u' and v' of equal energy
_DARK = 0.008856  # Y up to which lightness is linear (CIE 1976)


def similarities(
    image: np.ndarray, regions: np.ndarray, box_centres: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Returns how alike the superpixels of each edge are.

    Args:
        image: RGB, uint8 [h, w, 3].
        regions: superpixel of each pixel, int [h, w], numbers 0 to n - 1, all of which
            occur.
        box_centres: of `graph.Geometry`, [n, 2].
        edges: pairs of superpixels, int [e, 2].

    Returns:
        float32 [e, 3] in (0, 1], by texture, histogram and colour; 1 where equal.

    Raises:
        UserError: an image of another type, or regions of another size.
    """
    found = (
        texture(image, box_centres),
        histogram(image, regions),
        mean_luv(image, regions),
    )
    return np.stack(
        [_similar(f, edges, gamma) for f, gamma in zip(found, GAMMAS, strict=True)], -1
    )


def texture(image: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns local binary patterns of gray patches, as VLFeat's one cell of 8 x 8.

    The bit of a neighbour is set where it is brighter than the pixel.  Patterns of one
    run of bits are told apart by its begin and length, those of no run and of several
    count as one each; pixels further from the middle count less.

    Args:
        image: RGB, uint8 [h, w, 3]; beyond it all is black.
        centres: row and column of the middle of the box around each superpixel, [n, 2].

    Returns:
        float64 [n, 58], roots of the shares of patterns, so of length 1.

    Raises:
        UserError: an image of another type.
    """
    _check(image)
    starts = np.ceil(centres - PATCH / 2).astype(int) + PATCH
    gray = np.pad(colour.rgb_to_gray(image / 255.0)[..., 0], PATCH)
    within = np.arange(PATCH)
    rows, columns = (starts[:, axis, None] + within for axis in (0, 1))
    patches = gray[rows[:, :, None], columns[:, None]]  # [n, 8, 8]
    inner = patches[:, 1:-1, 1:-1]
    side = PATCH - 2
    codes = np.zeros(inner.shape, np.uint8)
    for bit, (down, right) in enumerate(_NEIGHBOURS):
        rows, columns = (slice(1 + by, 1 + by + side) for by in (down, right))
        brighter = patches[:, rows, columns] > inner
        codes |= brighter.astype(np.uint8) << np.uint8(bit)
    near = 1 - np.abs((np.arange(1, PATCH - 1) + 0.5) / PATCH - 0.5)
    weights = np.broadcast_to(near[:, None] * near, codes.shape)
    bins = _PATTERN[codes] + PATTERNS * np.arange(len(codes))[:, None, None]
    shares = _sums(bins, PATTERNS * len(codes), weights).reshape(-1, PATTERNS)
    return np.sqrt(shares / weights[:1].sum())


def histogram(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Returns histograms of R, G and B, with the bins of MATLAB's hist.

    Their centres are 256 / 11 apart, the first at (256 / 11 - 1) / 2.

    Args:
        image: RGB, uint8 [h, w, 3].
        regions: superpixel of each pixel, int [h, w], numbers 0 to n - 1, all of which
            occur.

    Returns:
        float64 [n, 33]; the 11 shares of each channel sum to 1.

    Raises:
        UserError: an image of another type, or regions of another size.
    """
    _check(image, regions)
    count = int(regions.max()) + 1
    flat = regions.ravel() * BINS
    # floor((v + 1/2) / (256 / 11)), in whole numbers
    bins = (2 * np.arange(256) + 1) * BINS // 512
    found = [
        _sums(flat + bins[image[..., channel].ravel()], count * BINS)
        for channel in range(3)
    ]
    counts = np.stack([f.reshape(count, BINS) for f in found], 1)  # [n, 3, 11]
    return (counts / counts.sum(-1, keepdims=True)).reshape(count, -1)


def mean_luv(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Returns the mean colour of each superpixel in CIE LUV.

    Args:
        image: RGB, uint8 [h, w, 3].
        regions: superpixel of each pixel, int [h, w], numbers 0 to n - 1, all of which
            occur.

    Returns:
        L, u and v, float64 [n, 3].

    Raises:
        UserError: an image of another type, or regions of another size.
    """
    _check(image, regions)
    flat, count = regions.ravel(), int(regions.max()) + 1
    planes = np.moveaxis(luv(image), -1, 0)
    sums = [_sums(flat, count, plane) for plane in planes]
    return np.stack(sums, -1) / np.bincount(flat)[:, None]


def luv(image: np.ndarray) -> np.ndarray:
    """Returns CIE LUV of RGB with a gamma of 2.2 and the white of equal energy.

    Args:
        image: RGB, uint8 [..., 3].

    Returns:
        L in 0..100, u and v, float64 [..., 3]; 0 for black.

    Raises:
        UserError: an image of another type.
    """
    _check(image)
    linear = (np.arange(256) / 255.0) ** _GAMMA
    tables = _XYZ[:, :, None] * linear  # [3, 3, 256]
    x, y, z = (
        sum(table[image[..., channel]] for channel, table in enumerate(row))
        for row in tables
    )
    lightness = np.where(y > _DARK, 116 * np.cbrt(y) - 16, 903.3 * y)
    total = x + 15 * y + 3 * z
    total = np.where(total > 0, total, 1)  # black has no hue, and a lightness of 0
    u = 13 * lightness * (4 * x / total - _WHITE[0])
    v = 13 * lightness * (9 * y / total - _WHITE[1])
    return np.stack([lightness, u, v], -1)


def _similar(features, edges, gamma):
    away = features[edges[:, 0]] - features[edges[:, 1]]
    distances = np.sqrt(np.square(away).sum(-1) / features.shape[-1])
    return np.exp(-gamma * distances).astype(np.float32)


def _sums(places, count, weights=None):
    weights = None if weights is None else weights.ravel()
    return np.bincount(places.ravel(), weights, minlength=count)


def _pattern(code):
    """The bin of eight bits: 7 begin + length - 1 for one run of ones."""
    bits = [code >> i & 1 for i in range(8)]
    begins = [i for i in range(8) if bits[i] and not bits[i - 1]]
    if len(begins) > 1:
        return PATTERNS - 1
    return 7 * begins[0] + sum(bits) - 1 if begins else PATTERNS - 2


_PATTERN = np.array([_pattern(code) for code in range(256)])


def _check(image, regions=None):
    if image.ndim < 1 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise errors.UserError(
            f"Features of superpixels want RGB, uint8 [h, w, 3], got {image.dtype} "
            f"{list(image.shape)}. Multiply floats by 255 and round, repeat gray."
        )
    if regions is not None and regions.shape != image.shape[:-1]:
        raise errors.UserError(
            f"An image {list(image.shape)} wants regions {list(image.shape[:-1])}, got "
            f"{list(regions.shape)}. Segment this image."
        )
