"""Faults of files in one message: all kinds, and the first of each kind in full."""

import pathlib

from dpjax.data.builders import faults


def test_a_single_fault_is_told_as_it_is():
    found = faults.Faults()
    assert len(found) == 0
    found.add("Masks that are bad", pathlib.Path("m/a.png"), "m/a.png is bad. Mend it.")
    assert len(found) == 1
    assert found.message() == "m/a.png is bad. Mend it."


def test_how_to_go_on_is_said_once_for_each_kind():
    found = faults.Faults()
    for name in ("a", "b. c", "d"):  # a full stop of a name ends no sentence
        path = pathlib.Path(f"m/{name}.png")
        found.add("Bad masks", path, f"{path} is bad. Mend it. Soon.")
    found.add("Large masks", pathlib.Path("m/a.png"), "m/a.png is large; cut it")
    assert found.message().splitlines() == [
        "4 faults:",
        "Bad masks, 3:",
        "  m/a.png is bad. Mend it. Soon.",
        "  m/b. c.png is bad.",
        "  m/d.png is bad.",
        "Large masks, 1:",
        "  m/a.png is large; cut it",
    ]


def test_many_of_a_kind_are_counted():
    found = faults.Faults()
    for i in range(23):
        found.add("Bad masks", pathlib.Path(f"{i:02d}"), f"{i:02d} is bad. Mend it.")
    lines = found.message().splitlines()
    assert lines[:2] == ["23 faults:", "Bad masks, 23:"]
    assert lines[-2:] == ["  09 is bad.", "  and 13 more"]
    assert len(lines) == 2 + faults.SHOWN + 1
