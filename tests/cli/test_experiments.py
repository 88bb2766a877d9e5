"""Config files are read, and every field of theirs can be typed."""

import dataclasses
from pathlib import Path

import pytest

from dpjax import config, errors
from dpjax.cli import experiments
from dpjax.models import zoo

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.py"))
WIDE = [8, 8, 16, 16, 32]


@pytest.fixture(scope="module")
def demo():
    return experiments.read_config(str(ROOT / "configs" / "restoration" / "demo.py"))


def options(experiment, *words):
    return experiments.override(experiment, words, "train.py").model.options


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_stays_what_it_is(path):
    experiment = experiments.read_config(str(path))
    same = experiments.override(experiment, [], "train.py")
    assert config.encode(same) == config.encode(experiment)
    same = experiments.override(experiment, ["--seed", "3"], "train.py")
    assert same == dataclasses.replace(experiment, seed=3)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("--model.options.stride 2", {"stride": 2}),
        ("--model.options.stride=1", {}),  # the network's own
        ("--model.options.channels 1", {"channels": 1}),  # the config names it
        ("--model.options.last-scale 0", {"last_scale": 0.0}),
        ("--model.options.no-global-residual", {"global_residual": False}),
        ("--model.options.widths 64", {"widths": 64}),
        ("--model.options.widths 8 8 16 16 32", {"widths": tuple(WIDE)}),
        ("--optim.lr 1 --model.options.skip-every 2", {"skip_every": 2}),
    ],
)
def test_every_option_of_the_network_can_be_set(demo, words, changes):
    got = options(demo, *words.split())
    assert got == {**demo.model.options, **changes}
    zoo.create_module(demo.model.name, **got)


def test_types_are_those_of_the_network_not_of_the_config(demo):
    model = config.Model("rednet10", {"last_scale": 0, "widths": tuple(WIDE)})
    given = dataclasses.replace(demo, model=model)
    assert options(given) == model.options
    assert options(given, "--model.options.last-scale", "0.5")["last_scale"] == 0.5
    assert options(given, "--model.options.widths", "4")["widths"] == 4


@pytest.mark.parametrize(
    "how", [["--model.name", "rednet30"], ["--model.name=rednet30"]]
)
def test_the_options_are_those_of_the_model_that_is_named(demo, how):
    # rednet10 has no skips, rednet30 one at every second layer
    assert options(demo, *how, "--model.options.skip-every", "2") == demo.model.options
    changed = options(demo, *how, "--model.options.skip-every", "0")
    assert changed == {**demo.model.options, "skip_every": 0}


@pytest.mark.parametrize("option", ["input-scales", "max-over-scales"])
def test_one_number_stays_a_sequence_where_it_is_no_number_for_all_layers(demo, option):
    model = config.Model("deeplab_v2_resnet101", {"blocks": (1, 1, 1, 1)})
    given = dataclasses.replace(demo, model=model)
    got = options(given, f"--model.options.{option}", "0.5")
    assert got == {**model.options, option.replace("-", "_"): (0.5,)}
    zoo.create_module(model.name, **got)


def test_unknown_models_and_options_name_the_nearest(demo, capsys):
    with pytest.raises(errors.UserError, match=r"'rednet3'\. Did you mean rednet30"):
        options(demo, "--model.name", "rednet3")
    with pytest.raises(SystemExit) as end:
        options(demo, "--model.options.strides", "2")
    assert end.value.code == 2
    assert "--model.options.stride" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", r"a\.py defines no get_config. A config is"),
        ("get_config = lambda: {}['absent']", "cannot be run: KeyError: 'absent'"),
        ("{}['absent']", "cannot be run: KeyError: 'absent'"),
        ("get_config = lambda: 1", "must return a dpjax.config.Experiment, got int"),
    ],
)
def test_what_is_wrong_with_a_config_is_said(tmp_path, text, message):
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(errors.UserError, match=message):
        experiments.read_config(str(tmp_path / "a.py"))
