import json
import subprocess
import sys

import pytest

from dpjax import errors
from dpjax.cli import plan

CONFIG = "configs/restoration/demo.py"
SMALL = ["--data.batch-size", "8", "--data.crop", "16", "16"]


def test_plan_prints_the_needs_of_a_config(capsys):
    assert plan.main([CONFIG, *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "8 of 16 x 16 pixels, 1 on each device" in printed
    assert "memory" in printed


def test_json_can_be_read_back(capsys):
    assert plan.main([CONFIG, "--json", *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["batch_size"] == 8
    assert found["parameters"] > 1000
    assert found["estimated_s"] is None


def test_a_misspelt_config_names_the_nearest():
    with pytest.raises(errors.UserError, match="Did you mean configs/restoration/dem"):
        plan.main(["configs/restoration/deno.py"])


def test_a_misspelt_field_ends_before_any_device_is_touched(capsys):
    with pytest.raises(SystemExit) as stop:
        plan.main([CONFIG, "--data.batchsize", "8"])
    assert stop.value.code == errors.UserError.exit_code
    assert "batch-size" in capsys.readouterr().err


def test_a_topology_without_the_compiler_exits_with_2():
    code = (
        "import sys\n"
        "sys.modules['libtpu'] = None\n"
        "import importlib.util\n"
        "importlib.util.find_spec = lambda name: None\n"
        "from dpjax import cli\n"
        "from dpjax.cli import exits\n"
        f"words = ['plan', {CONFIG!r}, '--topology', 'v5e:4x4']\n"
        "sys.exit(exits.run(lambda: cli.main(words)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == errors.UserError.exit_code
    assert done.stderr.startswith("error: ")
    assert "requirements-tpu.txt" in done.stderr
    assert done.stdout == ""
