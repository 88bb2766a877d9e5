"""Runs that begin with the weights of others, whole or in part."""

import dataclasses
import shutil

import chex
import jax
import numpy as np
import pytest

from dpjax import config, errors, tasks
from dpjax.data import degradations
from dpjax.models import zoo
from dpjax.ops import enlarge
from dpjax.tasks import restoration, segmentation
from dpjax.training import loop, release, state, stop
from dpjax.weights import store
from tests import peers

_ENDS = ("conv1/*", "deconv5/*")  # the layers that know the number of channels


def _colour(**changes):
    noise = (degradations.GaussianNoise((25.0, 25.0)),)
    experiment = config.Experiment(
        task=restoration.Restoration(noise, noise, space="rgb"),
        model=config.Model("rednet10", {"widths": 4, "channels": 3}),
        data=config.Data(("photos:train",), ("photos:test",), (16, 16), 8),
        optim=config.Optim(lr=1e-12),  # one update, but no visible one
        evaluation=config.Evaluation("dncnn", limit=1),
        record=config.Record(panels=0),
        total_steps=1,
        seed=3,
    )
    return dataclasses.replace(experiment, **changes)


def _module(experiment):
    return zoo.create_module(experiment.model.name, **experiment.model.options)


def test_a_colour_run_begins_with_the_layers_of_a_gray_one(tmp_path, tiny_weights):
    gray = tiny_weights()
    experiment = _colour(init_from=str(gray), init_skip=_ENDS)
    loop.train(experiment, tmp_path / "run")
    found = store.load(tmp_path / "run").variables["params"]
    old = store.load(gray).variables["params"]
    fresh = _module(experiment).init(
        state.stream_key(3, state.INIT), np.zeros((1, 16, 16, 3), np.float32)
    )["params"]
    assert set(found) == set(fresh)
    for name, layer in found.items():
        source = fresh if name in ("conv1", "deconv5") else old
        for kind in ("kernel", "bias"):
            np.testing.assert_allclose(
                layer[kind], source[name][kind], rtol=1e-6, atol=1e-9
            )
    assert np.abs(old["conv2"]["kernel"] - fresh["conv2"]["kernel"]).max() > 0.01


def test_weights_that_fit_are_taken_whole(tiny_weights):
    weights = tiny_weights("colour", space="rgb")
    experiment = _colour(init_from=str(weights))
    found = release.starting_variables(experiment, _module(experiment))
    wanted = store.load(weights).variables
    chex.assert_trees_all_equal(found, wanted)
    experiment = _colour()
    assert release.starting_variables(experiment, _module(experiment)) is None


def test_a_run_continues_without_the_file_it_began_with(
    tmp_path, tiny_weights, monkeypatch
):
    given = tmp_path / "given.safetensors"
    shutil.copy(tiny_weights(), given)
    experiment = _colour(init_from=str(given), init_skip=_ENDS, total_steps=2)
    experiment = dataclasses.replace(experiment, optim=config.Optim(lr=1e-3))
    loop.train(experiment, tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr(stop.StopRequest, "reached", lambda self, step: True)
        with pytest.raises(errors.Preempted, match="after step 1 of 2"):
            loop.train(experiment, tmp_path / "run")
    given.unlink()
    assert loop.train(experiment, tmp_path / "run").step == 2
    found, wanted = (
        store.load(tmp_path / name).variables for name in ("run", "undisturbed")
    )
    chex.assert_trees_all_equal(found, wanted)
    with pytest.raises(errors.UserError, match=r"given\.safetensors does not exist"):
        loop.train(experiment, tmp_path / "fresh")


def test_weights_of_another_shape_show_both_trees_and_the_way_out(tiny_weights):
    experiment = _colour(init_from=str(tiny_weights()))
    with pytest.raises(errors.UserError) as caught:
        release.starting_variables(experiment, _module(experiment))
    text = str(caught.value)
    assert f"Cannot load {tiny_weights()} into {experiment.model}: " in text
    assert str(experiment.model).startswith("rednet10(")
    assert "3 of 20 arrays differ" in text
    rows = {line.split()[0]: line for line in text.splitlines() if "/" in line}
    assert "[3, 3, 1, 4]" in rows["conv1/kernel"]  # in the file
    assert rows["conv1/kernel"].endswith("[3, 3, 3, 4]")  # in the model
    assert '--init-skip "conv1/*" "deconv5/*".' in text


def test_patterns_that_cannot_be_meant_are_refused(tiny_weights):
    weights = str(tiny_weights())
    experiment = _colour(init_from=weights, init_skip=(*_ENDS, "conv99/*"))
    with pytest.raises(errors.UserError, match=r"'conv99/\*'. Did you mean conv"):
        release.starting_variables(experiment, _module(experiment))
    experiment = _colour(init_skip=_ENDS)
    with pytest.raises(errors.UserError, match="init_from, which is None"):
        release.starting_variables(experiment, _module(experiment))


def _streets(**options):
    """A run of a small segmenter with batch statistics."""
    small = {"backbone": "wide_resnet_16", "width": 0.0625, "rates": (1, 2)}
    return dataclasses.replace(
        _colour(),
        task=segmentation.Segmentation(),
        model=config.Model(
            "deeplab_v2_resnet101", {**small, "num_classes": 3, **options}
        ),
    )


@pytest.fixture(scope="module")
def plain_segmenter(tmp_path_factory):
    """Weights of a segmenter without a CRF: file, network and variables."""
    run = _streets()
    module = _module(run)
    variables = peers.random_variables(module)
    path = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    card = {"model": config.encode(run.model), "task": config.encode(run.task)}
    store.save(path, variables, {"name": "plain", **card})
    return path, module, variables


def test_a_crf_is_put_on_a_network_that_was_trained_without(plain_segmenter):
    path, plain, variables = plain_segmenter
    run = dataclasses.replace(
        _streets(crf="exact"), init_from=str(path), init_skip=("crf/*",)
    )
    module = _module(run)
    start = release.starting_variables(run, module)
    crf = start["params"]["crf"]
    assert {name: float(matrix[0, 0]) for name, matrix in crf.items()} == {
        "bilateral": 5.0,
        "spatial": 3.0,
        "compatibility": 1.0,
    }
    images = np.random.default_rng(0).random((1, 40, 48, 3), np.float32)
    before = jax.jit(module.segmenter.apply)(start, images)
    wanted = jax.jit(plain.apply)(variables, images)
    np.testing.assert_array_equal(before, wanted)
    # The whole network with a CRF that does nothing, too.
    silent = {**crf, "compatibility": np.zeros((3, 3), np.float32)}
    params = {**start["params"], "crf": silent}
    after = jax.jit(module.apply)({**start, "params": params}, images)
    large = enlarge.to_size(wanted, (40, 48), "align_corners")
    assert peers.relative_error(after, large) < 1e-5


def test_a_crf_that_the_weights_do_not_have_shows_the_way_out(plain_segmenter):
    path, _, _ = plain_segmenter
    run = dataclasses.replace(_streets(crf="exact"), init_from=str(path))
    with pytest.raises(errors.UserError) as caught:
        release.starting_variables(run, _module(run))
    first, *table, advice = str(caught.value).splitlines()
    assert ": 3 of " in first
    assert [line.split()[:2] for line in table[1:]] == [
        [f"crf/{name}", "missing"]
        for name in sorted(("bilateral", "compatibility", "spatial"))
    ]
    assert advice.endswith('--init-skip "crf/*".')


def test_experiments_written_before_there_was_a_field_are_read():
    value = config.encode(_colour())
    assert value.pop("init_skip") == []
    found = config.decode(value, config.TYPES + tasks.TYPES)
    assert found == _colour()
