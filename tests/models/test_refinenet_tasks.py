"""Light-weight RefineNet for several tasks: counts, a rendering of the public port."""

import dataclasses

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.models import layers, zoo
from dpjax.weights import layouts, renaming
from tests import peers

NAME = "refinenet_lw_mobilenet_v2"
FORM = {"filters_last_chain": True, "resize": "half_pixel"}
CLASSES, WIDTH = 5, 8
SMALL = {
    **FORM,
    "path_widths": (WIDTH,) * 4,
    "num_classes": CLASSES + 1,
    "heads": (CLASSES, 1),
}
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower
# The port's names of what the form for one task has not.
RULES = {
    "pre_segm": "decoder/head/filter1",
    "segm": "decoder/head/scores1",
    "pre_depth": "decoder/head/filter2",
    "depth": "decoder/head/scores2",
}


# Specification of segmentation, 2: rooms, streets of KITTI, and rooms with normals.
@pytest.mark.parametrize(
    ("heads", "count"),
    [((40, 1), 3_070_057), ((6, 1), 2_991_687), ((40, 1, 3), 3_077_228)],
)
def test_parameters_are_the_published_ones(heads, count):
    module = zoo.create_module(NAME, num_classes=sum(heads), heads=heads, **FORM)
    example = zoo.example_input(module)
    shapes = jax.eval_shape(module.init, jax.random.key(0), example)
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == count


@pytest.fixture(scope="module")
def port():
    """A rendering of the public port with random weights, and those under our names."""
    pytest.importorskip("torch")
    from benchmarks import torch_refinenet

    network = peers.randomise(torch_refinenet.MultiTask(WIDTH, CLASSES))
    module = zoo.create_module(NAME, **SMALL)
    known = layouts.BY_NETWORK["RefineNet"]["light-weight-refinenet's MobileNet"]
    layout = dataclasses.replace(known, rules={**known.rules, **RULES})
    arrays = peers.arrays(network)
    return network, renaming.variables(arrays, module, {"port": layout})


def _error(port, size, **change):
    """How far our network is from theirs."""
    network, variables = port
    images = np.random.default_rng(0).random((1, *size, 3), np.float32) * 4 - 2
    theirs = peers.output(network, np.asarray(layers.standardise(images, "imagenet")))
    module = zoo.create_module(NAME, **{**SMALL, **change})
    with jax.default_matmul_precision("highest"):
        ours = jax.jit(module.apply, compiler_options=FAST)(variables, images)
    return peers.relative_error(ours, theirs)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(97, 129), (33, 47)])
def test_scores_and_depth_are_those_of_the_port(port, size):
    assert _error(port, size) < 1e-5


@pytest.mark.torch
@pytest.mark.parametrize(
    "change", [{"resize": "align_corners"}, {"activation": "relu"}]
)
def test_another_graph_is_noticed(port, change):
    assert _error(port, (64, 50), **change) > 1e-3


@pytest.mark.parametrize("heads", [(40, 2), (41, 0), (42, -1)])
def test_heads_that_are_not_all_scores_are_refused(heads):
    with pytest.raises(errors.UserError, match=r"heads=\(40, 1\) of num_classes=41"):
        zoo.create_module(NAME, num_classes=41, heads=heads)
