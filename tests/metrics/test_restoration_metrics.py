"""PSNR, SSIM and PSNR-B against scikit-image, published values and plain loops."""

import math

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import restoration


def _pair(shape, seed=0):
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 256, shape).astype(np.uint8)
    return clean + rng.normal(0, 20, shape), clean


def test_published_values_of_the_synthetic_pair():
    i, j = np.mgrid[:64, :64]
    x = (i * j + 3 * i + 5 * j) % 256
    y = 16 * (x // 16) + 8
    assert (x.sum(), y.sum()) == (517_888, 521_984)
    assert restoration.psnr(x, y) == pytest.approx(34.466574, abs=5e-7)
    assert restoration.ssim(x, y) == pytest.approx(0.997472, abs=5e-7)


@pytest.mark.parametrize("shape", [(40, 33), (25, 31, 1), (30, 41, 3), (11, 11, 3)])
def test_both_equal_scikit_image(shape):
    from skimage import metrics

    output, clean = _pair(shape)
    reference = clean.astype(float)
    want = metrics.peak_signal_noise_ratio(reference, output, data_range=255)
    assert restoration.psnr(output, clean) == pytest.approx(want, abs=1e-12)
    want = metrics.structural_similarity(
        reference,
        output,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2 if len(shape) == 3 else None,
    )
    assert restoration.ssim(output, clean) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_shaving_is_cropping_and_peak_is_scale(name):
    metric = getattr(restoration, name)
    output, clean = _pair((32, 30, 3))
    want = metric(output[4:-4, 4:-4], clean[4:-4, 4:-4])
    assert metric(output, clean, shave=4) == want
    assert metric(output, clean) != want
    scaled = metric(output / 255, clean / 255, peak=1.0)
    assert scaled == pytest.approx(metric(output, clean), abs=1e-10)


def test_equal_images_are_perfect_and_ssim_is_symmetric():
    output, clean = _pair((20, 20, 3))
    assert restoration.psnr(clean, clean) == math.inf
    assert restoration.ssim(clean, clean) == pytest.approx(1.0, abs=1e-12)
    there, back = restoration.ssim(output, clean), restoration.ssim(clean, output)
    assert there == pytest.approx(back, abs=1e-14)


def test_psnr_of_noise_is_its_level():
    clean = np.full((400, 400), 128.0)
    noisy = clean + np.random.default_rng(1).normal(0, 25, clean.shape)
    want = 20 * np.log10(255 / 25)
    assert restoration.psnr(noisy, clean) == pytest.approx(want, abs=0.05)


def test_psnr_b_matches_a_loop_over_neighbours():
    output, clean = _pair((19, 34))
    output += 30 * ((np.arange(34) // 8) % 2)
    edge, other = [], []
    for y in range(19):
        for x in range(34):
            for next_y, next_x in ((y, x + 1), (y + 1, x)):
                if next_y < 19 and next_x < 34:
                    step = (output[y, x] - output[next_y, next_x]) ** 2
                    moved = next_x if next_x > x else next_y
                    (edge if moved % 8 == 0 else other).append(step)
    blocking = math.log2(8) / math.log2(19) * (np.mean(edge) - np.mean(other))
    assert blocking > 0
    error = np.mean((output - clean) ** 2) + blocking
    want = 10 * math.log10(255**2 / error)
    assert restoration.psnr_b(output, clean) == pytest.approx(want, abs=1e-10)


def test_psnr_b_is_psnr_where_steps_lie_inside_the_blocks():
    output = np.tile([0.0, 5, 0, 5, 0, 5, 0, 0], (32, 4))
    clean = np.ones((32, 32))
    assert restoration.psnr_b(output, clean) == restoration.psnr(output, clean)
    shifted = np.roll(output, 2, axis=1)  # now a step at every edge of a block
    assert restoration.psnr_b(shifted, clean) < restoration.psnr(shifted, clean)


def test_wrong_requests_are_explained():
    clean = np.zeros((12, 12))
    with pytest.raises(errors.UserError, match="of one shape"):
        restoration.psnr(clean, clean[:11])
    with pytest.raises(errors.UserError, match="at least 11 x 11"):
        restoration.ssim(clean, clean, shave=1)
    with pytest.raises(errors.UserError, match="Leave this image out"):
        restoration.psnr(clean, clean, shave=6)
