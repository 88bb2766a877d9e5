"""PSNR and SSIM of restored images, in float64 on the host.

Equal to scikit-image's `peak_signal_noise_ratio`, and to its `structural_similarity`
with gaussian_weights=True, sigma=1.5, use_sample_covariance=False, which is the SSIM of
Wang et al. (IEEE TIP 2004) over the valid region.
"""

import math

import numpy as np

from dpjax import errors

_SIGMA, _RADIUS = 1.5, 5  # 11 x 11 Gaussian window, Wang et al.
SMALLEST_SIDE = 2 * _RADIUS + 1  # pixels; SSIM wants one whole window
_K1, _K2 = 0.01, 0.03


def psnr(
    output: np.ndarray, clean: np.ndarray, *, shave: int = 0, peak: float = 255.0
) -> float:
    """Returns 10 log10(peak^2 / MSE), the error averaged over pixels and channels.

    Args:
        output: restored image, [h, w] or [h, w, c], any type; not clipped.
        clean: its reference, of the same shape.
        shave: border that is left out on every side, in pixels.
        peak: value of white.

    Returns:
        Decibels; infinity for equal images.

    Raises:
        UserError: different shapes, or nothing left after shaving.
    """
    output, clean = _pair(output, clean, shave, 1)
    mean = np.mean(np.square(output - clean))
    return math.inf if mean == 0 else float(10 * np.log10(peak**2 / mean))


def ssim(
    output: np.ndarray, clean: np.ndarray, *, shave: int = 0, peak: float = 255.0
) -> float:
    """Returns the structural similarity, averaged over the valid region and channels.

    Args:
        output: restored image, [h, w] or [h, w, c], any type; not clipped.
        clean: its reference, of the same shape.
        shave: border that is left out on every side, in pixels.
        peak: value of white.

    Returns:
        At most 1, which equal images reach.

    Raises:
        UserError: different shapes, or less than 11 x 11 pixels left after shaving.
    """
    x, y = _pair(output, clean, shave, SMALLEST_SIDE)
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    var_x = _window_mean(x * x) - mean_x**2
    var_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(brightness * structure))


def psnr_b(
    output: np.ndarray, clean: np.ndarray, *, shave: int = 0, peak: float = 255.0
) -> float:
    """Returns PSNR with the blocking of the output added to the error.

    Yim & Bovik (IEEE TIP 2011): steps across the edges of 8 x 8 blocks, as far as they
    exceed the steps elsewhere, weighted by log2(8) / log2(shorter side).

    Args:
        output: restored image, [h, w] or [h, w, c], its block grid starting at (0, 0).
        clean: its reference, of the same shape.
        shave: border that is left out on every side, a multiple of 8 to keep the grid.
        peak: value of white.

    Returns:
        Decibels; infinity for equal images without blocking.

    Raises:
        UserError: different shapes, or less than 9 x 9 pixels left after shaving.
    """
    output, clean = _pair(output, clean, shave, 9)
    mean = np.mean(np.square(output - clean))
    across, elsewhere = [], []
    for axis in (0, 1):
        steps = np.square(np.diff(output, axis=axis))
        is_edge = np.arange(1, output.shape[axis]) % 8 == 0
        across.append(np.compress(is_edge, steps, axis=axis).ravel())
        elsewhere.append(np.compress(~is_edge, steps, axis=axis).ravel())
    across, elsewhere = (np.concatenate(v).mean() for v in (across, elsewhere))
    weight = 3 / math.log2(min(output.shape[:2]))
    mean += weight * max(across - elsewhere, 0.0)
    return math.inf if mean == 0 else float(10 * np.log10(peak**2 / mean))


def _pair(output, clean, shave, least):
    """Both images in float64 without their borders."""
    if output.shape != clean.shape or output.ndim not in (2, 3):
        raise errors.UserError(
            "A restoration metric wants two images [h, w] or [h, w, c] of one shape, "
            f"got {list(output.shape)} and {list(clean.shape)}. Crop the larger one."
        )
    h, w = (n - 2 * shave for n in output.shape[:2])
    if shave < 0 or min(h, w) < least:
        raise errors.UserError(
            f"This metric wants at least {least} x {least} pixels after shaving "
            f"{shave} from every side, got {h} x {w}. Leave this image out."
        )
    inner = slice(shave, shave + h), slice(shave, shave + w)
    return output[inner].astype(np.float64), clean[inner].astype(np.float64)


def _window_mean(image):
    """Gaussian averages over every window that lies inside the image."""
    taps = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        length = image.shape[axis] - 2 * _RADIUS
        image = sum(tap * _part(image, axis, i, length) for i, tap in enumerate(taps))
    return image


def _part(image, axis, start, length):
    part = slice(start, start + length)
    return image[part] if axis == 0 else image[:, part]
