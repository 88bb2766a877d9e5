"""Updates of a depth network with a continuous CRF, on one device and on eight."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AxisType, Mesh

from dpjax import config
from dpjax.models import grid_crf, layers, segmenter
from dpjax.tasks import depth
from dpjax.training import optimiser, parallel, state, step

COUNT, SIZE = 8, (12, 18)
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (COUNT, *SIZE, 3)).astype(np.uint8)
BATCH = {
    "image": IMAGE,
    "depth": RNG.uniform(1, 5, (COUNT, *SIZE)).astype(np.float32),
    # Uneven on purpose: the mean of each image's mean would be another number.
    "has_depth": RNG.random((COUNT, *SIZE)) < np.linspace(0.2, 1, COUNT)[:, None, None],
    "valid": np.arange(COUNT) != 3,
    "position": np.arange(COUNT, dtype=np.int32),
}
RUN = config.Experiment(
    task=depth.Depth(loss="berhu"),
    model=config.Model("toy"),
    data=config.Data(("x",), ("y",), crop=SIZE, batch_size=COUNT),
    optim=config.Optim("sgd", lr=0.1, momentum=0.0),
    evaluation=config.Evaluation("all_pixels"),
    total_steps=1,
)


class Halved(nn.Module):
    """A backbone of one convolution."""

    @nn.compact
    def __call__(self, images, train=False):
        return {2: nn.relu(layers.conv(4, 3, stride=2, bias=True, name="conv")(images))}


class Said(nn.Module):
    """A decoder of one convolution."""

    align_corners = False

    @nn.compact
    def __call__(self, pyramid, size, train=False):
        return layers.conv(1, 3, bias=True, name="head")(pyramid[2])


CRF = grid_crf.GridCrf(segmenter.Segmenter(Halved(), Said(), 8), beta=0.5)
SURE = dataclasses.replace(CRF, has_deviations=True)


@functools.cache
def updated(devices, parallel_by="shard_map", module=CRF, lr=0.1):
    """The parameters before and after an update, and what the log gets."""
    optim = dataclasses.replace(RUN.optim, lr=lr)
    run = dataclasses.replace(RUN, parallel=parallel_by, optim=optim)
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
    after, seen = update(now, form.put(BATCH))
    after, seen = jax.device_get((form.on_this_process(after), seen))
    assert int(after.skipped) == 0
    return first, after.params, seen


def test_a_short_step_moves_every_parameter_and_the_strengths():
    first, after, _ = updated(1)
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(first), jax.tree.leaves(after), strict=True
    ):
        assert np.isfinite(new).all(), path
        assert (old != new).any(), path
    assert (first["crf"]["beta"] != after["crf"]["beta"]).all()


@pytest.mark.parametrize("module", [CRF, SURE])
@pytest.mark.parametrize("how", ["shard_map", "pmap"])
def test_eight_devices_take_the_step_of_one(how, module):
    _, one, seen = updated(1, module=CRF)
    _, eight, also = updated(8, how, module)
    eight = {**eight, "crf": {"beta": eight["crf"]["beta"]}}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, eight
    )
    # Learning the scale of deviations changes no loss that is logged.
    for name in ("loss", "log_error"):
        found, want = (
            np.ravel(s["sums"][name])[0] / np.ravel(s["counts"][name])[0]
            for s in (also, seen)
        )
        assert found == pytest.approx(want, rel=1e-4)


def test_the_scale_of_deviations_learns_what_the_errors_are():
    first, after, _ = updated(1, module=SURE)
    known = BATCH["has_depth"] & BATCH["valid"][:, None, None]
    truth = np.log(BATCH["depth"])
    images = BATCH["image"].astype(np.float32) / 255
    many = dataclasses.replace(SURE, probes=20)
    told, spread = np.moveaxis(
        np.asarray(jax.jit(many.apply)({"params": first}, images)), -1, 0
    )
    slope = 0.0  # of (e^2 / s^2 + ln s^2) / 2 by ln tau, each image as its pixels count
    for i in range(COUNT):
        here = known[i]
        if here.any():
            e, s = (((x[i][here]) ** 2).mean() for x in (told - truth, spread))
            slope += here.sum() * (e / s - 1) / 2
    want = -0.1 * slope / known.sum()
    moved = after["crf"]["log_tau"] - first["crf"]["log_tau"]
    # The variance of one random solution stands for all.
    np.testing.assert_allclose(moved, want, rtol=0.3)
