"""The likelihood of the Gaussian CRF and its slopes, in four forms, in turns.

    python -m benchmarks.crf_layer

A batch of graphs like those of superpixels; the loss and its gradient by the outputs of
the network z, the labels y, the similarities S and their strengths beta.  "autodiff" is
the textbook form, the matrices in full and automatic differentiation through the
factorisation, in JAX and in PyTorch.  A ratio above 1 means that dpjax is faster; MiB
is what a program takes besides its inputs and results, on one device.

Cores are devices that share the batch for dpjax, as in training, and threads of one
device for the others: jaxlib's LAPACK calls with several matrices each, on devices that
share their threads, wait for each other for ever (0.10.2).
"""

import argparse
import os

# Both frameworks share one GPU; JAX would otherwise take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import functools
import statistics

import jax
import numpy as np
import torch
from jax import lax
from jax import numpy as jnp
from scipy import spatial

from benchmarks import measure, torch_turns
from dpjax.ops.crf import dense_precision, gaussian
from dpjax.training import speed

_FEATURES = 3
_STRENGTH = 10.0
_NOISE = 0.1  # of the network, beside labels in [0, 1]
_TOLERANCE = 1e-3
_AXIS = "batch"


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=16)
    parser.add_argument("--nodes", type=int, nargs="+", default=[700])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--no-compile", action="store_true", help="eager PyTorch only")
    parser.add_argument("--no-record", action="store_true", help="print the table only")
    options = parser.parse_args()
    measure.warn_if_busy()
    device = torch_turns.open_both(options.graphs)
    rows = [row for nodes in options.nodes for row in _rows(nodes, options, device)]
    if options.no_record:
        print(measure.table(rows))
    else:
        measure.record("crf_layer", vars(options), rows)


def _rows(nodes, options, device):
    problem = _problem(options.graphs, nodes)
    calls = {
        "dpjax": _over_devices(_ours, problem),
        "autodiff": _on_one_device(_textbook, problem),
        **_in_torch(problem, device, compiles=not options.no_compile),
    }
    _check_equal({name: candidate.call() for name, candidate in calls.items()})
    times = speed.in_turns(calls, repeats=options.repeats)
    mebibytes = {
        "dpjax": _memory(_ours, problem),
        "autodiff": _memory(_textbook, problem),
    }
    for name, seconds in times.items():
        share = measure.ratio(seconds, times["dpjax"])
        yield {
            "nodes": nodes,
            "form": name,
            "ms": 1e3 * statistics.median(seconds),
            "dpjax is faster": share["median"],
            "range": [share["lowest"], share["highest"]],
            "MiB": mebibytes.get(name, ""),
            "s": seconds,
        }


def _problem(graphs, nodes):
    """What the network says, labels, similarities, strengths, edges; edges last."""
    rng = np.random.default_rng(0)
    most = 3 * nodes  # a planar graph has fewer
    edges = np.zeros((graphs, most, 2), np.int32)
    similarities = np.zeros((graphs, most, _FEATURES), np.float32)
    for graph in range(graphs):
        corners = spatial.Delaunay(rng.random((nodes, 2))).simplices
        pairs = np.concatenate([corners[:, [i, (i + 1) % 3]] for i in range(3)])
        pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        edges[graph, : len(pairs)] = pairs
        similarities[graph, : len(pairs)] = rng.random((len(pairs), _FEATURES))
    y = rng.random((graphs, nodes), np.float32)
    z = y + _NOISE * rng.standard_normal(y.shape, np.float32)
    beta = np.full(_FEATURES, _STRENGTH, np.float32)
    return z, y, similarities, beta, edges


def _ours(z, y, similarities, beta, edges):
    weights = gaussian.edge_weights(similarities, beta)
    made = dense_precision.from_edges(edges, weights, z.shape[-1])
    return gaussian.negative_log_likelihood(made, y, z).sum()


def _textbook(z, y, similarities, beta, edges):
    def of_one(z, y, similarities, edges):
        weights = jnp.matmul(similarities, beta, precision="highest")
        p, q = edges.T
        r = jnp.zeros((len(z), len(z))).at[p, q].add(weights).at[q, p].add(weights)
        a = jnp.eye(len(z)) + jnp.diag(r.sum(1)) - r
        lower = jnp.linalg.cholesky(a)
        off = y - jax.scipy.linalg.cho_solve((lower, True), z)
        energy = off @ jnp.matmul(a, off, precision="highest")
        value = energy - jnp.log(jnp.diagonal(lower)).sum()
        return value + len(z) / 2 * jnp.log(jnp.pi)

    return jax.vmap(of_one)(z, y, similarities, edges).sum()


def _slopes(form):
    return jax.value_and_grad(form, (0, 1, 2, 3))


def _over_devices(form, problem):
    devices = jax.device_count()
    *by_graph, beta, edges = problem
    shares = [x.reshape(devices, -1, *x.shape[1:]) for x in (*by_graph, edges)]
    z, y, similarities, edges = jax.pmap(lambda *x: x)(*shares)  # they lie ready
    beta = jnp.asarray(beta)

    @functools.partial(jax.pmap, axis_name=_AXIS, in_axes=(0, 0, 0, None, 0))
    def call(*given):
        value, (z, y, similarities, beta) = _slopes(form)(*given)
        value, beta = lax.psum((value, beta), _AXIS)
        return value, (z, y, similarities, beta)

    return speed.Candidate(lambda: call(z, y, similarities, beta, edges))


def _on_one_device(form, problem):
    return speed.Candidate(
        functools.partial(jax.jit(_slopes(form)), *jax.device_put(problem))
    )


def _memory(form, problem):
    compiled = jax.jit(_slopes(form)).lower(*problem).compile()
    return compiled.memory_analysis().temp_size_in_bytes / 2**20


def _in_torch(problem, device, compiles):
    z, y, similarities, beta, edges = (torch.from_numpy(x).to(device) for x in problem)
    p, q = edges.long().unbind(-1)
    graphs, nodes = z.shape
    leaves = [x.requires_grad_() for x in (z, y, similarities, beta)]

    def value(z, y, similarities, beta):
        weights = similarities @ beta
        r = z.new_zeros(graphs, nodes * nodes)
        r = r.scatter_add(1, p * nodes + q, weights).view(graphs, nodes, nodes)
        r = r + r.mT
        a = torch.diag_embed(1 + r.sum(-1)) - r
        lower = torch.linalg.cholesky(a)
        off = y - torch.cholesky_solve(z[..., None], lower)[..., 0]
        energy = (off * (a @ off[..., None])[..., 0]).sum()
        energy = energy - lower.diagonal(dim1=-2, dim2=-1).log().sum()
        return energy + z.numel() / 2 * np.log(np.pi)

    def slopes(value):
        def call():
            found = value(*leaves)
            return found.detach(), torch.autograd.grad(found, leaves)

        wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
        return speed.Candidate(call, lambda _: wait())

    found = {"autodiff in torch, eager": slopes(value)}
    if compiles:
        found["autodiff in torch, compiled"] = slopes(torch.compile(value))
    return found


def _check_equal(found):
    """Ends the program if the forms disagree."""
    ours = jax.tree.leaves(found["dpjax"])
    for name, results in found.items():
        for one, two in zip(ours, jax.tree.leaves(results), strict=True):
            two = np.asarray(two.cpu() if isinstance(two, torch.Tensor) else two)
            # Each device has the sums, once; its graphs are its own.
            one = np.asarray(one).ravel()[: two.size]
            error = np.abs(one - two.ravel()).max() / np.abs(two).max()
            if not error < _TOLERANCE:
                raise SystemExit(f"{name} differs by {error:.2g}; nothing to compare")


if __name__ == "__main__":
    main()
