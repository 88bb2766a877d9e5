"""Updates of depth by bins and of relative depth, on one device and on eight."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AxisType, Mesh

from dpjax import config
from dpjax.models import layers, segmenter
from dpjax.ops import depth_bins as binning
from dpjax.tasks import depth_bins, relative_depth
from dpjax.training import optimiser, parallel, state, step

COUNT, SIZE = 8, (12, 18)
RNG = np.random.default_rng(0)
# Blocks of one brightness, as the map of the network is of half the size.
GREY = np.kron(RNG.integers(0, 256, (COUNT, 2, 3)), np.ones((6, 6)))
IMAGE = np.repeat(GREY[..., None], 3, -1).astype(np.uint8)
# Bright is far, so that there is something to learn.
TRUTH = (1 + IMAGE.mean(-1) / 64).astype(np.float32)
# Uneven on purpose: the mean of each image's mean would be another number.
KNOWN = RNG.random((COUNT, *SIZE)) < np.linspace(0.2, 1, COUNT)[:, None, None]
BATCH = {
    "image": IMAGE,
    "valid": np.arange(COUNT) != 3,
    "position": np.arange(COUNT, dtype=np.int32),
}
BY_BINS = {**BATCH, "depth": TRUTH, "has_depth": KNOWN}
BY_ORDER = {**BATCH, "target": TRUTH, "has_target": KNOWN}
# People said of the points which is farther; of some images more than of others.
POINTS = np.stack([RNG.integers(0, side, (COUNT, 40, 2)) for side in SIZE], -1)
_FAR = np.stack([TRUTH[b][tuple(p.T)] for b, p in enumerate(POINTS.reshape(8, -1, 2))])
_FIRST, _SECOND = np.moveaxis(_FAR.reshape(COUNT, 40, 2), -1, 0)
BY_POINTS = {
    **BATCH,
    "points": POINTS.astype(np.int32),
    "relation": np.sign(_FIRST - _SECOND).astype(np.int8),
    "has_relation": np.arange(40) < np.linspace(1, 40, COUNT, dtype=int)[:, None],
}
BINS = depth_bins.DepthBins(bins=binning.Bins(1.0, 6.0, 5))
ORDER = relative_depth.RelativeDepth(loss="diw", pairs=50)
EDGES = relative_depth.RelativeDepth(loss="sgr", pairs=60)
JUDGED = relative_depth.RelativeDepth(loss="diw", target="points", pairs=40)
CASES = [(BINS, BY_BINS), (ORDER, BY_ORDER), (EDGES, BY_ORDER), (JUDGED, BY_POINTS)]


class Halved(nn.Module):
    """A backbone of one convolution."""

    @nn.compact
    def __call__(self, images, train=False):
        return {2: nn.tanh(layers.conv(8, 3, stride=2, bias=True, name="conv")(images))}


class Said(nn.Module):
    """A decoder of one convolution."""

    count: int

    align_corners = False

    @nn.compact
    def __call__(self, pyramid, size, train=False):
        return layers.conv(self.count, 3, bias=True, name="head")(pyramid[2])


@functools.cache
def updated(case, devices, parallel_by="pmap", updates=1):
    """The parameters before and after updates, and what the log gets of each."""
    task, batch = CASES[case]
    module = segmenter.Segmenter(Halved(), Said(5 if task is BINS else 1), 2)
    run = config.Experiment(
        task=task,
        model=config.Model("toy"),
        data=config.Data(("x",), ("y",), crop=SIZE, batch_size=COUNT),
        optim=config.Optim("sgd", lr=0.3, momentum=0.0),
        evaluation=config.Evaluation("dense"),
        total_steps=updates,
        parallel=parallel_by,
    )
    run = dataclasses.replace(run, record=config.Record(log_every=1))
    tx = optimiser.make_optimiser(run.optim, run.total_steps)
    if parallel_by == "pmap":
        form = parallel.open_devices(run, jax.devices()[:devices])
    else:
        axes = {"axis_types": (AxisType.Auto,)}
        mesh = Mesh(np.array(jax.devices()[:devices]), (step.AXIS,), **axes)
        form = parallel.Parallel("shard_map", mesh)
    update = form.compile_step(step.make_train_step(run.task, module, tx, run))
    now = form.create(lambda: state.create(run, module, tx))
    first = jax.device_get(form.on_this_process(now).params)
    losses = []
    for _ in range(updates):
        now, seen = update(now, form.put(batch))
        sums, counts = (
            {k: np.ravel(v)[0] for k, v in jax.device_get(seen[kind]).items()}
            for kind in ("sums", "counts")
        )
        losses.append({k: sums[k] / max(counts[k], 1) for k in sums})
    after = jax.device_get(form.on_this_process(now))
    assert int(after.skipped) == 0
    return first, after.params, losses


@pytest.mark.parametrize("case", range(len(CASES)))
def test_updates_lower_the_loss_and_move_all_that_an_order_knows(case):
    first, after, losses = updated(case, 1, "shard_map", 20)
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(first), jax.tree.leaves(after), strict=True
    ):
        assert np.isfinite(new).all(), path
        is_shift = jax.tree_util.keystr(path).endswith("['head']['bias']")
        if case and is_shift:
            # The sum of the slopes of a pair is 0, but for rounding.
            np.testing.assert_allclose(new, old, atol=1e-5)
        else:
            assert (old != new).any(), path
    assert losses[-1]["loss"] < 0.9 * losses[0]["loss"]
    error = "wrong_order" if case else "log_error"
    assert losses[-1][error] < 0.7 * losses[0][error]


@pytest.mark.parametrize("how", ["shard_map", "pmap"])
@pytest.mark.parametrize("case", [0, 1, 3])
def test_eight_devices_take_the_step_of_one(case, how):
    _, one, seen = updated(case, 1)
    _, eight, also = updated(case, 8, how)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, eight
    )
    assert seen[0].keys() == also[0].keys()
    for name in set(seen[0]) - {"grad_norm"}:
        assert seen[0][name] == pytest.approx(also[0][name], rel=1e-4)
