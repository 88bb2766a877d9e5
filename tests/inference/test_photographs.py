"""Photographs of any aspect reach depth networks as they are, not squeezed."""

import dataclasses

import numpy as np
import pytest

from dpjax import config
from dpjax.data import crop_window
from dpjax.data.superpixels import front_end
from dpjax.inference import predictor
from dpjax.models import zoo
from dpjax.tasks import (
    depth,
    depth_bins,
    relative_depth,
    self_supervised_depth,
    superpixel_depth,
)
from tests import depth_weights

SIZE = (96, 128)
TASKS = (
    depth.Depth(size=SIZE),
    depth_bins.DepthBins(size=SIZE),
    relative_depth.RelativeDepth(size=SIZE),
    self_supervised_depth.SelfSupervisedDepth(size=SIZE),
    self_supervised_depth.SelfSupervisedDepth(size=SIZE, flip_average=True),
    superpixel_depth.SuperpixelDepth(
        size=SIZE, superpixels=front_end.Settings(size=16)
    ),
)


@pytest.fixture(scope="module")
def portrait(photo):
    return np.ascontiguousarray(photo[:, 100:250])  # 2 : 1


def seen_of(task, image, **options):
    """Sizes of what a task shows a network of a photograph."""
    views, _ = task.request(image / np.float32(255), {}, **options)
    images = [view["image"] if isinstance(view, dict) else view for view in views]
    return {image.shape[:2] for image in images}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_every_depth_task_keeps_the_aspect_of_photographs_only(
    task, photo, portrait, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # superpixels are kept there
    assert seen_of(task, portrait) == {(160, 80)}
    assert seen_of(task, photo[:150, :450]) == {(64, 192)}
    assert seen_of(task, photo[:240, :320]) == {SIZE}
    assert seen_of(task, portrait, image_size=SIZE) == {SIZE}
    record = {"image": portrait, "id": "x", "source": "x:test"}
    given = task.evaluation_input(record, "", task.protocols[0])
    given = given["image"] if isinstance(given, dict) else given
    assert given.shape[-3:-1] == SIZE  # what is scored is seen as it was published


def test_a_network_of_any_size_sees_the_aspect_and_answers_at_the_photograph_s_size(
    tmp_path, portrait
):
    predict = predictor.Predictor(depth_weights.write(tmp_path / "any.safetensors"))
    found = predict(portrait).maps["depth"]
    assert found.shape == portrait.shape[:2]
    exact = dataclasses.replace(predict.task, size=(160, 80))
    given = crop_window.resize(portrait, (160, 80)).astype(np.float32) / 255
    told = exact.predicted(given, next(iter(predict._engine.map([given]))))
    shown = predict(crop_window.resize(portrait, (160, 80))).maps["depth"]
    np.testing.assert_allclose(told.depth.mean(), shown.mean(), rtol=1e-3)
    np.testing.assert_allclose(found.mean(), shown.mean(), rtol=1e-2)


@pytest.mark.parametrize("crf", ["none", "grid"])
def test_a_network_of_one_size_sees_that_size(tmp_path, portrait, crf):
    model = depth_weights.ONE_SIZE
    options = {**model.options, "crf": crf}
    size = options["image_size"]
    path = depth_weights.write(
        tmp_path / "one.safetensors",
        config.Model(model.name, options),
        depth.Depth(size=size),
    )
    predict = predictor.Predictor(path)
    assert predict(portrait).maps["depth"].shape == portrait.shape[:2]
    squeezed = predict(crop_window.resize(portrait, size)).maps["depth"]
    np.testing.assert_allclose(
        predict(portrait).maps["depth"].mean(), squeezed.mean(), rtol=1e-2
    )


@pytest.mark.parametrize("name", ["monodepth_resnet50", "garg2016_resnet50"])
def test_networks_of_disparity_take_the_thinnest_strip(name):
    assert zoo.create_module(name).smallest_side <= 32
