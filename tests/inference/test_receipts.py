"""Receipts: round trip, comparison, and everything that can be wrong with one."""

import dataclasses
import json
import math
import os
from typing import ClassVar

import numpy as np
import pytest

from dpjax import config, errors
from dpjax.inference import evaluate, receipts
from dpjax.tasks import task as tasks


@dataclasses.dataclass(frozen=True)
class Sharpness(tasks.Task):
    """A task in name only."""

    kind: ClassVar[str] = "sharpness"
    best: ClassVar[str] = "psnr"
    example_metric: ClassVar[str] = "psnr"
    protocols: ClassVar[tuple[str, ...]] = ("plain",)
    strength: float = 0.5


def scores(**changes):
    rows = [
        {
            "source": "photos:test",
            "index": i,
            "id": f"p{i}",
            "condition": "noise25",
            "psnr": value,
            "histogram": np.array([i, 2]),
        }
        for i, value in enumerate((30.125, math.inf, 29.5))
    ]
    values = {
        "rows": rows,
        "summary": {"photos:test": {"noise25": {"psnr": np.float64(29.8125)}}},
        "best": 29.8125,
        "protocol": "plain",
        "ensemble": False,
        "data": {"photos:test": {"examples": 3, "fingerprint": "ab12"}},
        "panels": [],
        "seconds": 1.5,
        "compilations": 2,
        **changes,
    }
    return evaluate.Scores(**values)


def receipt(**changes):
    return receipts.build(
        scores(**changes),
        task=Sharpness(),
        model=config.Model("rednet10", {"channels": 1}),
        weights={"name": "mine", "sha256": "0" * 64},
        file="last.safetensors",
    )


def test_a_receipt_survives_the_disk(tmp_path):
    path = tmp_path / "deep" / "folder" / "receipt.json"
    written = receipt()
    receipts.write(path, written)
    back = receipts.read(path)
    assert back["rows"][1]["psnr"] == math.inf
    assert back["rows"][0] == {
        "source": "photos:test",
        "id": "p0",
        "condition": "noise25",
        "psnr": 30.125,
        "histogram": [0, 2],
    }
    assert back["summary"]["photos:test"]["noise25"]["psnr"] == 29.8125
    assert back["model"]["options"] == {"channels": 1}
    assert back["weights"]["file"] == "last.safetensors"
    assert back["task"] == {"type": "Sharpness", "strength": 0.5}
    assert back["devices"]["count"] == 8
    assert back["versions"]["jax"]
    assert os.listdir(path.parent) == ["receipt.json"]
    # Any JSON reader can open it, not only Python's.
    json.loads(path.read_text(), parse_constant=pytest.fail)


def test_content_forgets_circumstances_only():
    one, two = receipt(seconds=1.0), receipt(seconds=2.0)
    assert one["checksum"] != two["checksum"]
    assert receipts.content(one) == receipts.content(two)
    assert receipts.content(one) != receipts.content(receipt(ensemble=True))
    assert "rows" in receipts.content(one)


def test_a_changed_receipt_is_refused(tmp_path):
    path = tmp_path / "r.json"
    receipts.write(path, receipt())
    path.write_text(path.read_text().replace("30.125", "31.125"))
    with pytest.raises(errors.DataError, match=r"r\.json was changed"):
        receipts.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "rece', "is not JSON"),
        ("[1, 2]", "no receipt"),
        ('{"name": "card"}', "no receipt"),
        ('{"kind": "receipt", "format": 9}', "format 9, this version of dpjax reads 1"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(errors.DataError, match=message):
        receipts.read(path)


def test_a_missing_receipt_is_named(tmp_path):
    with pytest.raises(errors.DataError, match=r"absent\.json"):
        receipts.read(tmp_path / "absent.json")


def test_find_searches_folders_and_skips_other_json(tmp_path):
    receipts.write(tmp_path / "b" / "two.json", receipt())
    receipts.write(tmp_path / "a" / "one.json", receipt())
    (tmp_path / "a" / "config.json").write_text('{"type": "Experiment"}')
    (tmp_path / "a" / "binary.json").write_bytes(b"\xff\xfe\x00")
    found = receipts.find([tmp_path, tmp_path / "b" / "two.json"])
    assert [p.name for p in found] == ["one.json", "two.json"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(errors.DataError, match=r"No receipts in .*nothing"):
        receipts.find([tmp_path / "nothing"])
    with pytest.raises(errors.UserError, match="absent does not exist"):
        receipts.find([tmp_path / "absent"])


def test_a_full_disk_leaves_the_old_receipt(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    receipts.write(path, receipt())
    before = path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(errors.StorageError, match=r"r\.json: No space left"):
        receipts.write(path, receipt(best=1.0))
    assert path.read_text() == before
    assert os.listdir(tmp_path) == ["r.json"]
