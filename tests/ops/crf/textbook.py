"""Gaussian CRFs written out in float64 NumPy, on graphs like those of superpixels."""

import numpy as np
from scipy import spatial


def planar_graph(nodes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Places of the nodes, [n, 2], and edges of a jittered grid's triangles, [e, 2]."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(nodes)))
    places = np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2)[:nodes]
    places = places + rng.uniform(-0.3, 0.3, places.shape)
    corners = spatial.Delaunay(places).simplices
    pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    return places, np.unique(np.sort(pairs, axis=1), axis=0)


def precision_matrix(edges: np.ndarray, weights: np.ndarray, nodes: int) -> np.ndarray:
    """A = I + diag(R 1) - R, edge by edge."""
    strength = np.zeros((nodes, nodes))
    for (p, q), weight in zip(edges, weights, strict=True):
        strength[p, q] += weight
        strength[q, p] += weight
    return np.eye(nodes) + np.diag(strength.sum(1)) - strength


def negative_log_likelihood(a: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    """The paper's expanded form."""
    quadratic = y @ a @ y - 2 * z @ y + z @ np.linalg.solve(a, z)
    return quadratic - np.linalg.slogdet(a)[1] / 2 + len(z) / 2 * np.log(np.pi)


def slopes(edges: np.ndarray, a: np.ndarray, y: np.ndarray, z: np.ndarray) -> dict:
    """Derivatives of the negative log-likelihood by y, z and the weights of edges."""
    inverse = np.linalg.inv(a)
    mean = inverse @ z
    p, q = edges.T
    apart = inverse[p, p] + inverse[q, q] - 2 * inverse[p, q]
    return {
        "y": 2 * (a @ y - z),
        "z": 2 * (mean - y),
        "weights": (y[p] - y[q]) ** 2 - (mean[p] - mean[q]) ** 2 - apart / 2,
    }
