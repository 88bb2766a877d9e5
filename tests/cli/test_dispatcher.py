import subprocess
import sys
import types

import pytest

import dpjax
from dpjax import cli, errors


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_lists_every_command(word, capsys):
    assert cli.main([word]) == 0
    printed = capsys.readouterr().out
    for name, text in cli.COMMANDS.items():
        assert f"  {name} " in printed
        assert text in printed


def test_no_command_is_a_mistake_that_shows_the_list(capsys):
    assert cli.main([]) == errors.UserError.exit_code
    assert "usage:" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"dpjax {dpjax.__version__}"


@pytest.mark.parametrize(
    ("typed", "meant"), [("predcit", "predict"), ("Plan", "plan"), ("exprt", "export")]
)
def test_misspelt_command_names_the_nearest(typed, meant):
    with pytest.raises(errors.UserError, match=f"Unknown command.*{meant}"):
        cli.main([typed, "--help"])


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (3, 3)])
def test_words_after_the_command_reach_it(monkeypatch, returned, code):
    seen = []
    fake = types.SimpleNamespace(main=lambda words: seen.append(words) or returned)
    monkeypatch.setitem(sys.modules, "dpjax.cli.bench", fake)
    assert cli.main(["bench", "rednet10", "--batch", "2"]) == code
    assert seen == [["rednet10", "--batch", "2"]]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert f"python -m dpjax {name}" in capsys.readouterr().out


def test_the_module_runs_and_ends_with_the_exit_code():
    done = subprocess.run(
        [sys.executable, "-m", "dpjax", "pln"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == errors.UserError.exit_code
    assert done.stderr == "error: Unknown command 'pln'. Did you mean plan?\n"
