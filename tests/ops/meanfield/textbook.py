"""Dense CRFs written out in float64 NumPy, on parts of a photograph."""

import functools

import numpy as np

from dpjax.ops.meanfield import dense_crf

CLASSES = 4


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def features_of(
    image: np.ndarray, kernels: dense_crf.Kernels
) -> tuple[np.ndarray, np.ndarray]:
    """Both kernels' features over their widths, [n, 5] and [n, 2], float64."""
    height, width = image.shape[:2]
    places = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2).astype(float)
    colours = image.reshape(-1, 3).astype(float)
    alike = [places / kernels.theta_alpha, colours / kernels.theta_beta]
    return np.concatenate(alike, -1), places / kernels.theta_gamma


def gaussian_matrix(features: np.ndarray) -> np.ndarray:
    """What each of n features, [n, f], is to each other one, [n, n]."""
    square = ((features[:, None] - features[None]) ** 2).sum(-1)
    return np.exp(-square / 2)


def normalised(matrix: np.ndarray, how: dense_crf.Normalisation) -> np.ndarray:
    """Divided by the sums of its rows, or by their roots on both sides."""
    sums = matrix.sum(1)
    if how == "after":
        return matrix / sums[:, None]
    return matrix / np.sqrt(sums[:, None] * sums[None])


def brute_force(
    scores: np.ndarray,
    image: np.ndarray,
    kernels: dense_crf.Kernels,
    *,
    iterations: int,
    how: dense_crf.Normalisation = "symmetric",
    compatibility: np.ndarray | None = None,
) -> np.ndarray:
    """Q of one image, [h, w, k], from the whole matrices of both kernels."""
    alike, near = (
        normalised(gaussian_matrix(f), how) for f in features_of(image, kernels)
    )
    flat = scores.reshape(-1, scores.shape[-1]).astype(float)
    mixes = [
        weight if np.ndim(weight) else weight * np.eye(scores.shape[-1])
        for weight in (kernels.bilateral_weight, kernels.spatial_weight)
    ]
    q = softmax(flat)
    for _ in range(iterations):
        message = (alike @ q) @ mixes[0].T + (near @ q) @ mixes[1].T
        if compatibility is not None:
            message = message @ compatibility.T
        q = softmax(flat + message)
    return q.reshape(scores.shape)


@functools.cache
def crop(
    height: int = 24, width: int = 32, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores that follow a photograph's colours without being sure; part of it."""
    from skimage import data

    rng = np.random.default_rng(seed)
    top, left = (int(v) for v in rng.integers(40, 150, 2))
    image = data.astronaut()[top : top + height, left : left + width]
    towards = rng.normal(size=(3, CLASSES)) / 30
    scores = (image - image.mean((0, 1))) @ towards
    scores = scores + rng.normal(size=(height, width, CLASSES))
    return scores.astype(np.float32), image
