"""`list`: networks with their size, weights with their scores, data sets."""

import pytest

from dpjax import errors
from dpjax.cli import list as listing
from dpjax.weights import store


def test_everything_is_listed(capsys):
    assert listing.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [x for x in lines if x.startswith("rednet30 ")]
    assert line.split() == ["rednet30", "30", "1"]
    assert any(x.startswith("set12 ") for x in lines)
    assert any("list PATTERN counts parameters" in x for x in lines)


def test_a_pattern_chooses(capsys):
    assert listing.main(["*_wide"]) == 0
    out = capsys.readouterr().out
    (line,) = [x for x in out.splitlines() if x.startswith("rednet20_wide ")]
    assert line.split() == ["rednet20_wide", "15,637,761", "20", "1"]
    assert "rednet10 " not in out
    assert "set12" not in out


def test_a_single_network_shows_its_options(capsys):
    assert listing.main(["fcrn_resnet50"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["num_classes", "1"] in rows
    assert ["blocks", "3", "4", "6", "3"] in rows
    (crf,) = (row for row in rows if row[:1] == ["crf"])
    assert crf[1] == "none"
    assert {"lattice,", "grid,", "grid_calibrated"} <= set(crf)
    assert listing.main(["rednet30*"]) == 0
    assert "last_scale" not in capsys.readouterr().out


def test_released_weights_show_their_scores(capsys, tiny_weights, monkeypatch):
    monkeypatch.setattr(store, "_RELEASED", tiny_weights("shown-name").parent)
    assert listing.main(["shown*"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == [
        *("shown-name", "rednet10", "1,261"),
        *("set12", "psnr", "noise25", "12.35,", "noise50", "9.8765"),
    ]


def test_no_match_names_the_nearest():
    with pytest.raises(errors.UserError, match=r"'rednet31'. Did you mean rednet30"):
        listing.main(["rednet31"])
