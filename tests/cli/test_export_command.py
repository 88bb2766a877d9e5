"""`export`: from weights to a file that runs."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.cli import export as command
from dpjax.inference import export, trained


def test_the_file_gives_what_the_weights_give(tmp_path, tiny_weights, capsys):
    weights = tiny_weights()
    path = tmp_path / "m.stablehlo"
    assert command.main([str(weights), "-o", str(path), "--platforms", "cpu"]) == 0
    images = np.random.default_rng(0).random((1, 8, 9, 1), np.float32)
    loaded = trained.load(weights)
    np.testing.assert_allclose(
        export.read(path)(images),
        loaded.module.apply(loaded.variables, images),
        rtol=0,
        atol=1e-5,
    )
    assert "images [b, h, w, 1], for cpu;" in capsys.readouterr().out


def test_size_and_parameters_are_chosen(tmp_path, tiny_weights, capsys):
    words = [str(tiny_weights()), "-o", str(tmp_path / "m"), "--size", "8", "12"]
    assert command.main([*words, "--parameters", "beside"]) == 0
    assert (tmp_path / "m.weights.safetensors").exists()
    assert "[b, 8, 12, 1]" in capsys.readouterr().out


def test_unknown_platforms_and_weights_are_named(tmp_path, tiny_weights):
    words = ["-o", str(tmp_path / "m")]
    with pytest.raises(errors.UserError, match="tpuu"):
        command.main([str(tiny_weights()), *words, "--platforms", "tpuu"])
    with pytest.raises(errors.UserError, match="absent"):
        command.main([str(tmp_path / "absent.safetensors"), *words])
