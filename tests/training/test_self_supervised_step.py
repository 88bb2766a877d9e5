"""Updates from stereo pairs, on one device and on eight."""

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AxisType, Mesh

from dpjax import config
from dpjax.models import layers, zoo
from dpjax.tasks import self_supervised_depth
from dpjax.training import optimiser, parallel, state, step

COUNT, SIZE, SHIFT = 8, (24, 40), 3
NETWORKS = {
    "left_right": ("monodepth_vgg", {"widths": (4,) * 4, "up_widths": (4,) * 4}),
    "photometric": ("garg2016_resnet50", {"width": 4, "blocks": (1,) * 4}),
}


def batch(photo):
    """Walls of one disparity, and one pair that does not count."""
    width = SIZE[1] + SHIFT
    cuts = [photo[20 * i :, 30 * i :][: SIZE[0], :width] for i in range(COUNT)]
    return {
        "image": np.stack([cut[:, :-SHIFT] for cut in cuts]),
        "right": np.stack([cut[:, SHIFT:] for cut in cuts]),
        "valid": np.arange(COUNT) != 3,
        "position": np.arange(COUNT, dtype=np.int32),
    }


class Toy(nn.Module):
    """Disparities of two scales from one convolution each."""

    channels = 3
    smallest_side = 24

    @nn.compact
    def __call__(self, images, train=False):
        coarse = nn.avg_pool(images, (2, 2), (2, 2))
        maps = (layers.conv(2, 3, bias=True)(x) for x in (coarse, images))
        return tuple(0.3 * nn.sigmoid(x) for x in maps)


def updated(photo, loss, devices, updates, module=None):
    """Parameters before and after, and the mean loss at each update."""
    name, options = NETWORKS[loss]
    task = self_supervised_depth.SelfSupervisedDepth(
        loss=loss, size=SIZE, colours=False, smoothness=0.01
    )
    run = config.Experiment(
        task=task,
        model=config.Model(name, options),
        data=config.Data(("x",), ("y",), crop=SIZE, batch_size=COUNT),
        optim=config.Optim("adam", lr=3e-3),
        evaluation=config.Evaluation("all_pixels"),
        total_steps=updates,
        parallel="shard_map",
    )
    task.check(run)
    module = module or zoo.create_module(name, **options)
    tx = optimiser.make_optimiser(run.optim, run.total_steps)
    axes = {"axis_types": (AxisType.Auto,)}
    mesh = Mesh(np.array(jax.devices()[:devices]), (step.AXIS,), **axes)
    form = parallel.Parallel("shard_map", mesh)
    update = form.compile_step(step.make_train_step(task, module, tx, run))
    now = form.create(lambda: state.create(run, module, tx))
    first, seen = jax.device_get(form.on_this_process(now).params), []
    given = form.put(batch(photo))
    for _ in range(updates):
        now, terms = update(now, given)
        seen.append(terms)
    losses = [x["sums"]["loss"] / x["counts"]["loss"] for x in jax.device_get(seen)]
    after = jax.device_get(form.on_this_process(now))
    assert int(after.skipped) == 0
    return first, after.params, losses


@pytest.mark.parametrize("loss", NETWORKS)
def test_updates_move_every_parameter_and_lower_the_loss(photo, loss):
    first, after, losses = updated(photo, loss, 1, 30)
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(first), jax.tree.leaves(after), strict=True
    ):
        assert np.isfinite(new).all(), path
        assert (old != new).any(), path
    assert np.mean(losses[-5:]) < 0.9 * losses[0]


def test_eight_devices_take_the_steps_of_one(photo):
    _, one, losses = updated(photo, "left_right", 1, 3, Toy())
    _, eight, also = updated(photo, "left_right", 8, 3, Toy())
    np.testing.assert_allclose(also, losses, rtol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), one, eight
    )
