"""The converter writes weights that predictor and training accept."""

import hashlib
import pathlib

import jax
import numpy as np
import pytest

from dpjax import config, errors, tasks
from dpjax.cli import convert
from dpjax.inference import predictor, trained
from dpjax.models import layers, zoo
from dpjax.ops import enlarge
from dpjax.tasks import classification, restoration
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
    assert '--skip "head/linear/fc/*"' in advice
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


def test_networks_over_superpixels_want_a_config_before_the_file_is_read(tmp_path):
    words = [
        "dcnf_fcsp",
        str(tmp_path / "none.pth"),
        "-o",
        str(tmp_path / "a.safetensors"),
    ]
    with pytest.raises(errors.UserError, match=r"dcnf_fcsp gives numbers.*--config"):
        convert.main(words)


def test_a_depth_network_wants_a_config_that_says_what_its_numbers_are(
    tmp_path, source
):
    with pytest.raises(
        errors.UserError, match=r"fcrn_resnet50 gives numbers.*--config"
    ):
        run(source, tmp_path, model="fcrn_resnet50")


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
