"""Every config's update can be traced on eight devices."""

import dataclasses
from pathlib import Path

import jax
import pytest

from dpjax.cli import experiments
from dpjax.models import zoo
from dpjax.training import optimiser, parallel, state, step

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*/*.py"))
# A small one of each task, and the one with loops inside the network: nothing else
# differs between the two ways.
BOTH_WAYS = (
    "rednet10_denoise",
    "wide_caltech20",
    "refinenet_lw_camvid",
    "cls_small_nyudv2",
    "redweb_small_ranking_nyudv2",
    "fcsp_small_nyudv2",
    "crf_rnn_voc2012",
)
CASES = [
    pytest.param(path, how, id=f"{path.stem}-{how}")
    for path in CONFIGS
    for how in ("pmap", "shard_map")
    if how == "pmap" or path.stem in BOTH_WAYS
]


def _shallow(module):
    """Two units of each kind at most: more repeat the same shapes, and take minutes."""
    trunk = getattr(module, "backbone", module)
    few = {
        name: tuple(min(count, 2) for count in getattr(trunk, name))
        for name in ("blocks", "units")
        if hasattr(trunk, name)
    }
    small = trunk.clone(**few)
    return small if trunk is module else module.clone(backbone=small)


@pytest.mark.parametrize(("path", "how"), CASES)
def test_an_update_keeps_the_shapes_of_its_state(path, how):
    run = dataclasses.replace(experiments.read_config(str(path)), parallel=how)
    run.task.check(run)
    model = run.model
    module = zoo.create_module(
        model.name, compute_dtype=model.compute_dtype, **model.options
    )
    module = _shallow(module)
    tx = optimiser.make_optimiser(run.optim, run.total_steps)
    start = jax.eval_shape(lambda: state.create(run, module, tx))
    batch = run.task.batch_spec(run.data, run.data.batch_size)
    devices = parallel.open_devices(run, jax.devices())
    update = devices.compile_step(step.make_train_step(run.task, module, tx, run))
    if how == "pmap":  # an axis of devices before that of each one's examples
        n = jax.device_count()
        batch = {
            name: jax.ShapeDtypeStruct((n, x.shape[0] // n, *x.shape[1:]), x.dtype)
            for name, x in batch.items()
        }
    after, seen = jax.eval_shape(update, start, batch)
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)  # noqa: E731
    assert shapes(after) == shapes(start)
    assert {"sums", "counts", "skipped", "streak"} == set(seen)
