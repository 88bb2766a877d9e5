import json

import pytest

from dpjax import errors
from dpjax.cli import bench

QUICK = ["--size", "8", "8", "--batch", "8", "--repeats", "1"]


def test_bench_prints_both_rates(capsys):
    assert bench.main(["rednet10", *QUICK]) == 0
    head, _, forward, training = capsys.readouterr().out.splitlines()
    assert head == "rednet10, 8 images of 8 x 8 in a call, float32, 8 x cpu"
    assert forward.startswith("forward ")
    assert training.startswith("training ")
    assert float(forward.split()[1]) > 0


def test_json_repeats_the_settings(capsys):
    assert bench.main(["rednet10", *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["batch"] == 8
    assert found["size"] == [8, 8]
    assert found["training"]["ms_per_call"] > 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rednett10"], "Did you mean rednet10"),
        (["rednet10", "--dtype", "float8"], "compute_dtype"),
        (["rednet10", "--size", "0", "8"], "positive"),
        (["rednet10", "--batch", "12"], "multiple of the 8 devices"),
    ],
)
def test_mistakes_are_named(arguments, complaint):
    with pytest.raises(errors.UserError, match=complaint):
        bench.main(arguments)
