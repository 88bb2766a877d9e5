"""Networks over superpixels: the CRF on top in closed form, padding, parameters."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import zoo

_NARROW = {
    "widths": (4, 4, 4, 8, 8),
    "extra_widths": (8,),
    "tail_widths": (8,),
}
_GRID = 4  # superpixels a side


def _inputs(room=20, side=32, seed=0):
    """A grid of square superpixels in a batch of two, with room for more."""
    rng = np.random.default_rng(seed)
    cell = side // _GRID
    regions = np.arange(_GRID**2).reshape(_GRID, _GRID).repeat(cell, 0).repeat(cell, 1)
    pairs = [
        (p, q)
        for p in range(_GRID**2)
        for q in (p + 1, p + _GRID)
        if q < _GRID**2 and (q != p + 1 or q % _GRID)
    ]
    edges = np.zeros((2, 3 * room, 2), np.int32)
    edges[:, : len(pairs)] = pairs
    alike = np.zeros((2, 3 * room, 3), np.float32)
    alike[:, : len(pairs)] = rng.random((2, len(pairs), 3))
    centres = np.zeros((2, room, 2), np.float32)
    centres[:, : _GRID**2] = [
        ((i + 0.5) * cell - 0.5, (j + 0.5) * cell - 0.5)
        for i in range(_GRID)
        for j in range(_GRID)
    ]
    return {
        "image": rng.random((2, side, side, 3), np.float32),
        "regions": np.broadcast_to(regions, (2, side, side)).astype(np.int32),
        "region_valid": np.broadcast_to(np.arange(room) < _GRID**2, (2, room)),
        "region_centroids": centres,
        "edges": edges,
        "similarities": alike,
    }


def _precision(edges, weights, nodes):
    a = np.eye(nodes)
    for (p, q), r in zip(edges, weights.astype(np.float64), strict=True):
        a[[p, q], [p, q]] += r if p != q else 0
        a[p, q] -= r if p != q else 0
        a[q, p] -= r if p != q else 0
    return a


@pytest.mark.parametrize("name", ["dcnf_fcsp", "dcnf"])
@pytest.mark.parametrize("crf", ["paper", "calibrated"])
def test_the_answer_is_the_mean_of_the_gaussian(name, crf):
    options = _NARROW if name == "dcnf_fcsp" else {"widths": (4,) * 5, "fc_width": 8}
    module, variables = zoo.create_model(name, crf=crf, beta=2.0, **options)
    params = variables["params"]
    np.testing.assert_array_equal(params["crf"]["beta"], [2.0] * 3)
    if crf == "calibrated":
        params["crf"]["log_tau"] = jnp.asarray(1.5)
    inputs = _inputs()
    found = jax.jit(module.apply)(variables, inputs)
    for b in range(2):
        weights = np.asarray(found["edge_weights"][b])
        np.testing.assert_allclose(
            weights, 2 * inputs["similarities"][b].sum(-1), rtol=1e-5
        )
        a = _precision(inputs["edges"][b], weights, 20)
        z = np.asarray(found["unary"][b], np.float64)
        np.testing.assert_allclose(found["mean"][b], np.linalg.solve(a, z), atol=1e-5)
        tau = np.exp(1.5) if crf == "calibrated" else 1.0
        spread = np.sqrt(np.diag(np.linalg.inv(a)) / (2 * tau))
        np.testing.assert_allclose(found["deviation"][b, :16], spread[:16], rtol=1e-4)
    assert (np.asarray(found["mean"])[:, 16:] == 0).all()
    assert np.ptp(np.asarray(found["unary"])[0, :16]) > 0


def test_without_a_crf_the_answer_is_what_the_network_says():
    module, variables = zoo.create_model("dcnf_fcsp", crf="none", **_NARROW)
    found = module.apply(variables, _inputs())
    assert set(found) == {"unary", "mean"}
    np.testing.assert_array_equal(found["unary"], found["mean"])
    assert "crf" not in variables["params"]


def test_more_padding_changes_nothing():
    module, variables = zoo.create_model("dcnf_fcsp", embedding=2, **_NARROW)
    few, many = (module.apply(variables, _inputs(room)) for room in (16, 40))
    for name in ("unary", "mean", "deviation"):
        np.testing.assert_allclose(few[name], many[name][:, :16], atol=1e-6)


def test_an_embedding_pulls_superpixels_with_equal_features():
    module, variables = zoo.create_model("dcnf_fcsp", embedding=2, **_NARROW)
    params = variables["params"]["crf"]
    params["beta"] = jnp.array([0.0, 0.0, 0.0, 5.0])
    params["embedding"] = jax.tree.map(jnp.zeros_like, params["embedding"])
    found = module.apply(variables, _inputs())
    weights = np.asarray(found["edge_weights"])
    is_edge = (_inputs()["similarities"] > 0).any(-1)
    np.testing.assert_allclose(weights[is_edge], 5, rtol=1e-6)
    assert (weights[~is_edge] == 0).all()


def test_softplus_starts_where_it_is_told_to():
    module, variables = zoo.create_model(
        "dcnf_fcsp", pairwise="softplus", beta=0.7, **_NARROW
    )
    inputs = _inputs()
    weights = module.apply(variables, inputs)["edge_weights"]
    np.testing.assert_allclose(
        weights, 0.7 * inputs["similarities"].sum(-1), rtol=1e-4, atol=1e-6
    )


def test_the_published_trunk_reads_a_map_of_stride_8():
    module = zoo.create_module("dcnf_fcsp")
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))[
        "params"
    ]
    trunk = shapes
    sizes = sum(x.size for x in jax.tree.leaves(trunk["backbone"]))
    assert sizes == 14_714_688  # VGG-16 without its matrices
    assert trunk["decoder"]["conv2"]["kernel"].shape == (3, 3, 512, 512)
    pyramid = jax.eval_shape(
        lambda x: zoo.create_backbone("vgg16", output_stride=8).init_with_output(
            jax.random.key(0), x
        )[0],
        jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32),
    )
    assert max(pyramid) == 8
    assert pyramid[8].shape == (1, 8, 12, 512)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": "exact"}, "Unknown crf of dcnf_fcsp"),
        ({"beta": -1.0}, "at 0 or above, got beta=-1.0"),
        ({"trunk": "resnet51"}, "nknown trunk of dcnf_fcsp"),
        ({"output_stride": 5}, "output stride of VGG16"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module("dcnf_fcsp", **options)
