"""Depth networks begin with the weights of what they stand on, as the papers do."""

import dataclasses
import textwrap
from pathlib import Path

import chex
import jax
import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.cli import convert, experiments
from dpjax.data import preparation
from dpjax.inference import trained
from dpjax.models import zoo
from dpjax.tasks import depth, superpixel_depth
from dpjax.training import loop, release
from dpjax.weights import store
from tests import peers

CONFIGS = Path(__file__).parents[2] / "configs" / "depth"
CARD = ("model", "task")
FAST = {"xla_backend_optimization_level": 0}
VGG = {"widths": (4, 4, 4, 4, 4)}
RESNET = {"blocks": (1, 1, 1, 1)}
LIGHT = {**RESNET, "path_widths": (4, 4, 4, 4)}
TAIL = {"tail_widths": (8,)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Writes random weights of a network; gives the file and the variables."""
    folder = tmp_path_factory.mktemp("starts")
    made = {}

    def make(name, **options):
        key = name, str(options)
        if key not in made:
            model = config.Model(name, options)
            variables = peers.random_variables(zoo.create_module(name, **options))
            path = folder / f"{name}{len(made)}.safetensors"
            store.save(path, variables, {"model": config.encode(model)})
            made[key] = path, variables
        return made[key]

    return make


def _run(model, options, start=None, skip=(), **changes):
    over = model in zoo.list_superpixel_networks()
    task = superpixel_depth.SuperpixelDepth if over else depth.Depth
    return config.Experiment(
        task=task(size=(64, 96)) if over else task(),
        model=config.Model(model, options),
        data=config.Data(("x:train",), ("x:test",), (64, 96), 8),
        optim=config.Optim(),
        evaluation=config.Evaluation("all_pixels"),
        total_steps=1,
        init_from=None if start is None else str(start),
        init_skip=skip,
        **changes,
    )


def _started(run):
    module = zoo.create_module(run.model.name, **run.model.options)
    return module, release.starting_variables(run, module)


def _backbone(variables):
    return {kind: tree["backbone"] for kind, tree in variables.items() if tree}


# What is given, what starts from it, and what is new in that.
CASES = [
    ("vgg16", VGG, "dcnf_fcsp", {**VGG, **TAIL, "extra_widths": (4, 4)}, "decoder/*"),
    ("vgg16", VGG, "dcnf_fcsp", {**VGG, **TAIL, "extra_widths": ()}, None),
    ("resnet50", RESNET, "dcnf_fcsp_resnet50", {**RESNET, **TAIL}, None),
    (
        "resnet50",
        RESNET,
        "dcnf_fcsp_refinenet_lw50",
        {**LIGHT, **TAIL, "features": 8},
        "decoder/*",
    ),
    (
        "resnet50",
        RESNET,
        "fcrn_resnet50",
        {**RESNET, "up_widths": (8,) * 5},
        "decoder/*",
    ),
    (
        "vgg16",
        VGG,
        "eigen_fergus2015_vgg16",
        {**VGG, "image_size": (76, 101), "fc_width": 8},
        "decoder/*",
    ),
]


@pytest.mark.parametrize(("source", "theirs", "name", "ours", "new"), CASES)
def test_a_classifier_starts_what_stands_on_its_backbone(
    weights, source, theirs, name, ours, new, capsys
):
    path, given = weights(source, num_classes=3, **theirs)
    is_over_superpixels = name in zoo.list_superpixel_networks()
    skip = ("head/*", *(("crf/*",) if is_over_superpixels else ()))
    skip = skip if new is None else (*skip, new)
    module, found = _started(_run(name, ours, path, skip))
    chex.assert_trees_all_equal(_backbone(found), _backbone(given))
    said = capsys.readouterr().err
    count = len(jax.tree.leaves(_backbone(given)))
    assert f"{path}: {count} arrays of backbone/*; fresh: " in said
    assert "not used: head/*" in said
    below = getattr(module, "unary", module)
    below = getattr(below, "trunk", below).backbone
    images = np.random.default_rng(0).random((1, 76, 101, 3), np.float32)
    theirs = zoo.create_module(source, num_classes=3, **theirs).backbone
    theirs = theirs.clone(output_stride=below.output_stride)
    one, two = (
        jax.jit(m.apply, compiler_options=FAST)(_backbone(v), images)
        for m, v in ((theirs, given), (below, found))
    )
    chex.assert_trees_all_equal(one, two)
    assert float(np.ptp(one[max(one)])) > 0


def test_without_patterns_the_error_names_those_that_help(weights):
    path, _ = weights("resnet50", num_classes=3, **RESNET)
    model = "dcnf_fcsp_refinenet_lw50"
    options = {**LIGHT, **TAIL, "features": 8}
    with pytest.raises(errors.UserError) as caught:
        _started(_run(model, options, path))
    assert str(caught.value).endswith('--init-skip "crf/*" "decoder/*" "head/*".')


def test_a_trained_segmenter_starts_the_whole_trunk(weights):
    path, given = weights("refinenet_lw50", num_classes=5, **LIGHT)
    model, options = "dcnf_fcsp_refinenet_lw50", {**LIGHT, **TAIL, "features": 8}
    skip = ("decoder/head/*", "head/*", "crf/*")
    _, found = _started(_run(model, options, path, skip))
    for kind, tree in given.items():
        theirs = {k: v for k, v in tree.get("decoder", {}).items() if k != "head"}
        ours = found[kind].get("decoder", {})
        chex.assert_trees_all_equal(
            {k: v for k, v in ours.items() if k != "head"}, theirs
        )
        chex.assert_trees_all_equal(found[kind]["backbone"], tree["backbone"])
    # With as many features as there were classes, its last layer too.
    options = {**options, "features": 5}
    module, found = _started(_run(model, options, path, skip[1:]))
    images = np.random.default_rng(0).random((1, 64, 96, 3), np.float32)
    theirs = zoo.create_module("refinenet_lw50", num_classes=5, **LIGHT)
    one, two = (
        jax.jit(m.apply, compiler_options=FAST)(
            {
                kind: {k: tree[k] for k in tree if k in parts}
                for kind, tree in v.items()
            },
            images,
        )
        for m, v in ((theirs, given), (module.unary.trunk, found))
        for parts in [("backbone", "decoder")]
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["rdis_small_stereo", "redweb_small_ranking_nyudv2"])
def test_bins_go_on_from_what_an_order_taught(tmp_path, name):
    order, bins = (
        experiments.read_config(str(CONFIGS / f"{stem}.py"))
        for stem in (name, "redweb_small_bins_nyudv2")
    )
    given = peers.random_variables(
        zoo.create_module(order.model.name, **order.model.options)
    )
    path = tmp_path / "order.safetensors"
    store.save(path, given, {k: config.encode(getattr(order, k)) for k in CARD})
    run = dataclasses.replace(bins, init_from=str(path), init_skip=("decoder/head/*",))
    _, found = _started(run)
    heads = [v["params"]["decoder"].pop("head") for v in (found, given)]
    chex.assert_trees_all_equal(found, given)
    assert [h["kernel"].shape[-1] for h in heads] == [50, 1]


def test_a_crf_is_put_on_a_depth_network_that_was_trained_without(weights, capsys):
    options = {**RESNET, "up_widths": (8,) * 5, "norm": "device"}
    path, given = weights("fcrn_resnet50", **options)
    options = {**options, "crf": "grid_calibrated", "beta": 4.0}
    with pytest.raises(errors.UserError) as caught:
        _started(_run("fcrn_resnet50", options, path))
    assert str(caught.value).endswith('--init-skip "crf/*".')
    module, found = _started(_run("fcrn_resnet50", options, path, ("crf/*",)))
    assert "fresh: crf/*" in capsys.readouterr().err
    crf = found["params"].pop("crf")
    np.testing.assert_allclose(np.log1p(np.exp(crf["beta"])), 4, rtol=1e-6)
    chex.assert_trees_all_equal(found, given)
    assert crf["log_tau"] == 0
    assert module.channels == 3


def test_cnn_f_of_caffe_starts_dcnf(tmp_path, weights):
    rng = np.random.default_rng(0)
    widths = (4, 6, 4, 4, 5)
    shapes = {
        **{
            f"conv{i}": (out, given, side, side)
            for i, out, given, side in zip(
                range(1, 6), widths, (3, *widths[:4]), (11, 5, 3, 3, 3), strict=True
            )
        },
        "fc6": (8, 6 * 6 * 5),
        "fc7": (8, 8),
        "fc8": (10, 8),
    }
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}.weight"] = rng.normal(size=shape).astype(np.float32)
        arrays[f"{name}.bias"] = rng.normal(size=shape[0]).astype(np.float32)
    np.savez(tmp_path / "f.npz", **arrays)
    options = {"widths": widths, "fc_width": 8}
    words = ["--option", f"widths={list(widths)}", "fc_width=8"]
    out = tmp_path / "cnn_f.safetensors"
    settings = tmp_path / "dcnf.py"
    settings.write_text(
        textwrap.dedent(
            """
            from dpjax import config
            from dpjax.tasks import superpixel_depth
            def get_config():
                return config.Experiment(
                    superpixel_depth.SuperpixelDepth(), config.Model("dcnf"),
                    config.Data(("x",), ("x",)), config.Optim(),
                    config.Evaluation("all_pixels"), 1)
            """
        )
    )
    convert.main(
        [
            *("dcnf", str(tmp_path / "f.npz"), "-o", str(out), *words),
            *("--config", str(settings), "--skip", "head/*", "crf/*"),
        ]
    )
    module, found = _started(_run("dcnf", {**options, **TAIL}, out, ("head/*",)))
    backbone = found["params"]["backbone"]
    np.testing.assert_array_equal(
        backbone["conv2"]["kernel"], arrays["conv2.weight"].transpose(2, 3, 1, 0)
    )
    # Caffe's matrix reads channels, rows, columns.
    maps = rng.normal(size=(6, 6, 5)).astype(np.float32)
    ours = np.tensordot(maps, backbone["fc6"]["kernel"], 3)
    theirs = arrays["fc6.weight"] @ maps.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert module.unary.backbone.input_style == "caffe"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory, photo):
    root = tmp_path_factory.mktemp("rooms")
    for split, count in (("train", 3), ("test", 1)):
        for i in range(count):
            place = root / "made" / split
            for kind in ("images", "depth"):
                (place / kind).mkdir(parents=True, exist_ok=True)
            left = 90 * i + 40 * (split == "test")
            crop = photo[100 * (split == "test") :, left : left + 96][:64]
            PIL.Image.fromarray(crop).save(place / "images" / f"{split}{i}.png")
            metres = (1000 + 4 * crop.astype(np.uint16).sum(-1)).astype(np.uint16)
            PIL.Image.fromarray(metres).save(place / "depth" / f"{split}{i}.png")
    preparation.prepare(
        "rgbd_folder",
        folder=root / "made",
        directory=root / "records",
        config="mine",
        unit="mm",
    )
    return root / "records"


@pytest.mark.slow
def test_a_run_from_the_command_line_keeps_a_backbone_that_may_not_move(
    tmp_path, weights, rooms, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path, given = weights("resnet50", num_classes=3, **RESNET)
    options = {**RESNET, **TAIL, "norm": "frozen"}
    settings = tmp_path / "config.py"
    settings.write_text(
        textwrap.dedent(
            f"""
            from dpjax.config import *
            from dpjax.data.superpixels.front_end import Settings
            from dpjax.tasks.superpixel_depth import SuperpixelDepth
            def get_config():
                return Experiment(
                    SuperpixelDepth(size=(64, 96), superpixels=Settings(size=8)),
                    Model("dcnf_fcsp_resnet50", {options!r}),
                    Data(("rgbd_folder/mine:train",), ("rgbd_folder/mine:test",),
                         (64, 96), 8, directory={str(rooms)!r}),
                    Optim("sgd", lr=0.1, momentum=0.0, nonnegative=("crf/beta",)),
                    Evaluation("all_pixels"), 2, Record(panels=0))
            """
        )
    )
    words = ["--init-from", str(path), "--init-skip", "head/*", "crf/*"]
    words += ["--optim.lr-factors", "backbone/*", "0"]
    run = experiments.override(
        experiments.read_config(str(settings)), words, "train.py CONFIG --workdir DIR"
    )
    loop.train(run, tmp_path / "run")
    found = store.load(tmp_path / "run").variables
    chex.assert_trees_all_equal(
        found["params"]["backbone"], given["params"]["backbone"]
    )
    # Statistics are averaged over devices, which rounds.
    chex.assert_trees_all_close(
        found["batch_stats"], {"backbone": given["batch_stats"]["backbone"]}, rtol=1e-6
    )
    assert (found["params"]["crf"]["beta"] != 1).any()
    fresh = dataclasses.replace(run, init_from=None, init_skip=())
    assert release.starting_variables(fresh, None) is None


@pytest.mark.parametrize(
    ("beta", "complaint"), [(-1e-3, "-0.001"), (np.nan, "not finite")]
)
def test_strengths_that_make_no_crf_are_refused_not_solved(tmp_path, beta, complaint):
    options = {**VGG, **TAIL, "extra_widths": ()}
    variables = peers.random_variables(zoo.create_module("dcnf_fcsp", **options))
    variables["params"]["crf"]["beta"] = np.array([1.0, beta, 0.0], np.float32)
    run = _run("dcnf_fcsp", options)
    path = tmp_path / "wrong.safetensors"
    card = {"model": config.encode(run.model), "task": config.encode(run.task)}
    store.save(path, variables, {"name": "wrong", **card})
    start = dataclasses.replace(run, init_from=str(path))
    for use in (trained.load, lambda _: _started(start)):
        with pytest.raises(errors.UserError) as caught:
            use(path)
        assert "crf/beta" in str(caught.value)
        assert complaint in str(caught.value)
    _, found = _started(dataclasses.replace(start, init_skip=("crf/*",)))
    np.testing.assert_array_equal(found["params"]["crf"]["beta"], np.ones(3))
    # What goes through softplus may have any sign.
    model = {**card["model"], "options": {**options, "pairwise": "softplus"}}
    variables["params"]["crf"]["beta"] = np.array([1.0, -2.0, 0.0], np.float32)
    store.save(path, variables, {"name": "right", **card, "model": model})
    trained.load(path)
    variables["params"]["crf"]["beta"][1] = np.inf
    store.save(path, variables, {"name": "endless", **card, "model": model})
    with pytest.raises(errors.UserError, match="crf/beta of endless is not finite"):
        trained.load(path)
