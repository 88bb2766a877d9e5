"""The converter writes weights that predictor and training accept."""

import hashlib
import pathlib

import jax
import numpy as np
import pytest

from dpjax import config, errors, tasks
from dpjax.cli import convert
from dpjax.data import crop_window
from dpjax.inference import predictor, trained
from dpjax.models import layers, zoo
from dpjax.ops import enlarge
from dpjax.tasks import (
    classification,
    depth,
    photographs,
    relative_depth,
    restoration,
)
from dpjax.training import release
from dpjax.weights import store
from tests import peers


def arrays(channels=3, width=4):
    rng = np.random.default_rng(0)
    sizes = [channels, *[width] * 5]
    made = {}
    for i in range(5):
        made[f"conv{i + 1}_w"] = rng.normal(size=(sizes[i + 1], sizes[i], 3, 3))
        made[f"conv{i + 1}_b"] = rng.normal(size=sizes[i + 1])
        made[f"deconv{i + 1}_w"] = rng.normal(size=(sizes[5 - i], sizes[4 - i], 3, 3))
        made[f"deconv{i + 1}_b"] = rng.normal(size=sizes[4 - i])
    return made


@pytest.fixture
def source(tmp_path):
    np.savez(tmp_path / "given.npz", **arrays())
    return str(tmp_path / "given.npz")


def run(source, tmp_path, *more, model="rednet10"):
    output = tmp_path / "out.safetensors"
    code = convert.main([model, source, "-o", str(output), *more])
    return code, output


def test_a_card_rebuilds_network_and_task(tmp_path, source, capsys):
    code, output = run(
        source, tmp_path, "--option", "widths=4", "stride=2", "--licence", "MIT"
    )
    assert code == 0
    weights = store.load(output)
    assert weights.card["sha256"][:12] in capsys.readouterr().out
    assert weights.card["licence"] == "MIT"
    assert weights.card["fresh"] == []
    content = pathlib.Path(source).read_bytes()
    assert weights.card["source_sha256"] == hashlib.sha256(content).hexdigest()
    types = config.TYPES + tasks.TYPES
    model = config.decode(weights.card["model"], types)
    assert model.options == {"widths": 4, "stride": 2, "channels": 3}
    module = zoo.create_module(model.name, **model.options)
    store.check_matches(weights.variables, module)
    task = config.decode(weights.card["task"], types)
    assert task == restoration.Restoration(space="rgb")
    want = arrays()["conv2_w"].transpose(2, 3, 1, 0)
    got = weights.variables["params"]["conv2"]["kernel"]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_the_task_comes_from_a_config(tmp_path, source):
    file = tmp_path / "experiment.py"
    file.write_text(
        "from dpjax import config\n"
        "from dpjax.data import degradations\n"
        "from dpjax.tasks import restoration\n"
        "def get_config():\n"
        "    return config.Experiment(\n"
        "        task=restoration.Restoration(\n"
        "            degradations=(degradations.Jpeg((10, 10)),), space='rgb'),\n"
        "        model=config.Model('rednet10'), optim=config.Optim(),\n"
        "        data=config.Data((), ()), total_steps=1,\n"
        "        evaluation=config.Evaluation('red'))\n"
    )
    _, output = run(
        source, tmp_path, "--option", "widths=4", "--config", str(file), "--half"
    )
    card = store.load(output).card
    assert card["task"]["degradations"][0]["type"] == "Jpeg"
    assert card["stored"] == ["float16"]


@pytest.mark.parametrize(
    ("more", "model", "message"),
    [
        ([], "rednet11", "Unknown model 'rednet11'"),
        (["--option", "stide=2"], "rednet10", "'stide'. Did you mean stride"),
        (["--option", "stride"], "rednet10", "NAME=VALUE, got 'stride'"),
        ([], "rednet10", r"given\.npz into rednet10\(channels=3\):.*20 arrays differ"),
        (["--config", "nowhere.py"], "rednet10", "config file 'nowhere.py'"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(
    tmp_path, source, more, model, message
):
    if "--config" in more:
        more = [*more, "--option", "widths=4"]
    with pytest.raises(errors.UserError, match=message):
        run(source, tmp_path, *more, model=model)
    assert not (tmp_path / "out.safetensors").exists()


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """A network of timm and the file that torch.save made of it."""
    torch = pytest.importorskip("torch")
    network = peers.timm().create_model("mobilenetv2_100", num_classes=10)
    path = tmp_path_factory.mktemp("timm") / "mobilenet.pth"
    torch.save(peers.randomise(network).state_dict(), path)
    return network, str(path)


@pytest.mark.torch
def test_a_classifier_of_timm_becomes_weights_that_predict(tmp_path, mobilenet):
    network, source = mobilenet
    model = "mobilenet_v2"
    code, output = run(source, tmp_path, "--option", "num_classes=10", model=model)
    assert code == 0
    loaded = trained.load(output)
    assert loaded.task == classification.Classification()
    images = np.random.default_rng(0).random((2, 45, 64, 3), np.float32)
    theirs = peers.output(network, np.asarray(layers.standardise(images, "imagenet")))
    ours = loaded.module.apply(loaded.variables, images)
    assert peers.relative_error(ours, theirs) < 1e-5


@pytest.mark.torch
def test_a_head_of_other_classes_starts_fresh_on_request(tmp_path, mobilenet, capsys):
    _, source = mobilenet
    model = "mobilenet_v2"
    with pytest.raises(errors.UserError) as caught:
        run(source, tmp_path, "--option", "num_classes=7", model=model)
    first, *table, advice = str(caught.value).splitlines()
    assert f"Cannot load {source} into mobilenet_v2(num_classes=7): 2 of" in first
    assert len(table) == 3
    assert "[1280, 10]" in table[2]
    assert "--option num_classes=10" in advice
    assert '--skip "head/linear/*"' in advice
    assert "card" not in advice
    assert "init-skip" not in advice
    words = ("--option", "num_classes=7", "--skip", "head/linear/*")
    _, output = run(source, tmp_path, *words, model=model)
    weights = store.load(output)
    params = weights.variables["params"]
    assert params["head"]["linear"]["fc"]["kernel"].shape == (1280, 7)
    _, fresh = zoo.create_model(model, num_classes=7)
    np.testing.assert_array_equal(
        params["head"]["linear"]["fc"]["bias"],
        fresh["params"]["head"]["linear"]["fc"]["bias"],
    )
    paths = ["head/linear/fc/bias", "head/linear/fc/kernel"]
    assert sorted(weights.card["fresh"]) == paths
    assert set(paths) <= set(capsys.readouterr().out.replace(",", "").split())
    with pytest.raises(errors.UserError, match=r"never trained.*fc/.*--init-from"):
        predictor.Predictor(output)
    experiment = config.Experiment(
        task=classification.Classification(),
        model=config.Model(model, {"num_classes": 7}),
        data=config.Data((), ()),
        optim=config.Optim(),
        evaluation=config.Evaluation("single"),
        total_steps=1,
        init_from=str(output),
    )
    module = zoo.create_module(model, num_classes=7)
    assert release.starting_variables(experiment, module) is not None


@pytest.mark.torch
def test_a_port_of_refinenet_becomes_weights_that_name_pixels(tmp_path):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_refinenet

    network = peers.randomise(torch_refinenet.OnMobileNet(8, 5))
    source = tmp_path / "port.pth"
    torch.save(network.state_dict(), source)
    model = "refinenet_lw_mobilenet_v2"
    words = ["--option", "num_classes=5", "path_widths=[8,8,8,8]"]
    _, output = run(str(source), tmp_path, *words, model=model)
    weights = store.load(output)
    options = config.decode(weights.card["model"], config.TYPES).options
    module = zoo.create_module(model, **options)
    images = np.random.default_rng(0).random((1, 33, 40, 3), np.float32)
    theirs = peers.output(network, np.asarray(layers.standardise(images, "imagenet")))
    ours = jax.jit(module.apply)(weights.variables, images)
    result = predictor.Predictor(output)(images[0])
    large = enlarge.on_host(np.asarray(ours)[0], (33, 40), "half_pixel")
    assert (result.maps["labels"] == large.argmax(-1)).mean() > 0.99
    assert peers.relative_error(ours, theirs) < 1e-5


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ("rednet10", ("--skip", "head/*"), "networks with a head"),
        ("rednet10", ("--grey", "0.449", "0.226"), "networks of three channels"),
        ("resnet50", ("--transposed",), "RED-Nets of MATLAB's Caffe"),
    ],
)
def test_options_of_other_networks_are_refused(tmp_path, source, model, words, message):
    with pytest.raises(errors.UserError, match=message):
        run(source, tmp_path, *words, model=model)


FCRN = ("--option", "blocks=[1,1,1,1]", "up_widths=[8,8,8,8,8]")
AS_THERE = ("interleaving=exchanged", "variant=v1.5")


@pytest.fixture(scope="module")
def fcrn(tmp_path_factory):
    """A shallow network of the public port, its file, and that of its trunk alone."""
    torch = pytest.importorskip("torch")
    peers.timm()
    from torchvision.models import resnet

    from benchmarks import torch_fcrn

    trunk = peers.randomise(resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1]))
    folder = tmp_path_factory.mktemp("fcrn")
    torch.save(trunk.state_dict(), folder / "trunk.pth")
    port = peers.randomise(torch_fcrn.FCRN(trunk, (8,) * 5, "exchanged"))
    torch.save(port.state_dict(), folder / "port.pth")
    return port, str(folder / "port.pth"), str(folder / "trunk.pth")


@pytest.mark.torch
def test_a_port_of_fcrn_becomes_weights_that_answer_in_metres(tmp_path, fcrn, photo):
    network, source, _ = fcrn
    _, output = run(source, tmp_path, *FCRN, *AS_THERE, model="fcrn_resnet50")
    loaded = trained.load(output)
    assert (loaded.task.unit, loaded.task.size) == ("metres", (228, 304))
    size = photographs.size_for(photo.shape[:2], loaded.task.size)
    given = crop_window.resize(photo, size).astype(np.float32) / 255
    seen = np.asarray(layers.standardise(given[None], "imagenet"))
    (metres,) = peers.output(network, seen)
    assert 0.2 < (metres > 0.1).mean() < 1  # the smallest that is answered
    metres = np.clip(metres, 0.1, 100)
    metres = enlarge.on_host(metres, photo.shape[:2], "half_pixel")[..., 0]
    found = predictor.Predictor(output)(photo).maps["depth"]
    np.testing.assert_allclose(found, metres, rtol=1e-3, atol=1e-4)


def _depth_config(tmp_path, **fields):
    said = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    file = tmp_path / "depth.py"
    file.write_text(
        "from dpjax import config\n"
        "from dpjax.tasks import depth\n"
        "def get_config():\n"
        "    return config.Experiment(\n"
        f"        task=depth.Depth({said}), model=config.Model('fcrn_resnet50'),\n"
        "        optim=config.Optim(), data=config.Data((), ()), total_steps=1,\n"
        "        evaluation=config.Evaluation('all_pixels'))\n"
    )
    return str(file)


@pytest.mark.torch
def test_a_config_that_reads_other_depths_is_refused(tmp_path, fcrn):
    words = [*FCRN, *AS_THERE, "--config"]
    with pytest.raises(errors.UserError, match=r"trained with unit='metres'"):
        run(fcrn[1], tmp_path, *words, _depth_config(tmp_path), model="fcrn_resnet50")
    fields = {"unit": "metres", "loss": "l1", "limits": (1.0, 9.0)}
    settings = _depth_config(tmp_path, **fields)
    _, output = run(fcrn[1], tmp_path, *words, settings, model="fcrn_resnet50")
    assert trained.load(output).task.limits == (1.0, 9.0)


@pytest.mark.torch
def test_a_classifier_starts_a_depth_network(tmp_path, fcrn):
    model = "fcrn_resnet50"
    with pytest.raises(
        errors.DataError, match=r'\n.*classifier.*--skip "\*decoder/\*"'
    ):
        run(fcrn[2], tmp_path, *FCRN, model=model)
    words = (*FCRN, "--skip", "*decoder/*")
    _, output = run(fcrn[2], tmp_path, *words, model=model)
    weights = store.load(output)
    assert all("decoder/" in path for path in weights.card["fresh"])
    assert config.decode(weights.card["task"], tasks.TYPES) == depth.Depth()
    with pytest.raises(errors.UserError, match=r"never trained.*decoder.*--init-from"):
        predictor.Predictor(output)


BINS = ("--option", "num_classes=3", "blocks=[1,1,1,1]")


@pytest.mark.torch
@pytest.mark.parametrize("model", ["cls_resnet50", "redweb_resnet50"])
def test_a_classifier_starts_a_network_of_bins(tmp_path, fcrn, model):
    words = (*BINS, "--skip", "*decoder/*")
    _, output = run(fcrn[2], tmp_path, *words, model=model)
    task = config.decode(store.load(output).card["task"], tasks.TYPES)
    assert (task.kind, task.bins.count) == ("depth", 3)
    corners = {"cls_resnet50": "half_pixel", "redweb_resnet50": "align_corners"}
    assert task.upsampling == corners[model]
    assert task.loss == "information_gain"


@pytest.mark.torch
def test_a_classifier_starts_a_network_of_order(tmp_path, fcrn):
    words = ("--option", "blocks=[1,1,1,1]", "--skip", "*decoder/*")
    _, output = run(fcrn[2], tmp_path, *words, model="redweb_resnet50")
    task = config.decode(store.load(output).card["task"], tasks.TYPES)
    assert task == relative_depth.RelativeDepth(upsampling="align_corners")
    _, output = run(fcrn[2], tmp_path, *words, model="cls_resnet50")
    task = config.decode(store.load(output).card["task"], tasks.TYPES)
    assert task == depth.Depth()


@pytest.mark.torch
def test_trained_bins_want_a_config_that_knows_their_range(tmp_path, fcrn):
    network, _, _ = fcrn
    arrays = peers.arrays(network)
    head = next(n for n, a in arrays.items() if a.ndim == 4 and a.shape[0] == 1)
    for name in (head, head.replace("weight", "bias")):
        if name in arrays:
            arrays[name] = np.repeat(arrays[name], 3, axis=0)
    np.savez(tmp_path / "bins.npz", **arrays)
    words = (*FCRN, *AS_THERE, "num_classes=3")
    with pytest.raises(errors.UserError, match=r"depths its 3 scores mean.*--config"):
        run(str(tmp_path / "bins.npz"), tmp_path, *words, model="fcrn_resnet50")


def test_weights_of_another_architecture_are_named(tmp_path, source):
    words = ("--option", "num_classes=10")
    with pytest.raises(errors.DataError) as caught:
        run(source, tmp_path, *words, model="resnet50")
    first, *lines = str(caught.value).splitlines()
    assert f"arrays of {source} are not those of resnet50(num_classes=10)" in first
    assert "torchvision" in first
    assert "conv1_w" in lines[0]


@pytest.mark.torch
def test_the_parameters_that_are_printed_are_those_of_list(tmp_path, mobilenet, capsys):
    network, source = mobilenet
    run(source, tmp_path, "--option", "num_classes=10", model="mobilenet_v2")
    count = sum(p.numel() for p in network.parameters())
    assert f"mobilenet_v2, {count:,} parameters" in capsys.readouterr().out


@pytest.mark.torch
def test_a_network_for_grey_images_is_read_on_request(tmp_path):
    torch = pytest.importorskip("torch")
    timm = peers.timm()
    network = timm.create_model("mobilenetv2_100", num_classes=10, in_chans=1)
    source = tmp_path / "grey.pth"
    torch.save(peers.randomise(network).state_dict(), source)
    words = ["--option", "num_classes=10"]
    with pytest.raises(errors.UserError, match=r"\[3, 3, 1, 32\].*\n.*--grey MEAN"):
        run(str(source), tmp_path, *words, model="mobilenet_v2")
    words += ["--grey", "0.45", "0.22"]
    _, output = run(str(source), tmp_path, *words, model="mobilenet_v2")
    loaded = trained.load(output)
    assert loaded.card["grey"] == [0.45, 0.22]
    images = np.random.default_rng(0).random((2, 45, 64, 1), np.float32)
    theirs = peers.output(network, (images - np.float32(0.45)) / np.float32(0.22))
    ours = loaded.module.apply(loaded.variables, images)
    assert peers.relative_error(ours, theirs) < 1e-5
