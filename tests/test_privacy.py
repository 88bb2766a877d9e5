"""No committed file says where it was made: no paths of a machine, no package hosts."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The one place that may know where continuous integration keeps copies of data sets.
INTEGRATION = ".ci/run"
# Spelt in pieces, or this file would find itself.
ROOTS = "|".join(["wor" + "k", "op" + "t", "roo" + "t", "hom" + "e", "Use" + "rs"])
PRIVATE = {
    "a path of one machine": re.compile(rf"(?<![\w.~$}}/-])/(?:{ROOTS})/[\w.]"),
    "a folder beside the checkout": re.compile(r"\.\./+shar" + "ed"),
    "a package host": re.compile(
        r"pypi\.(?:or" + r"g|pyth)|pythonhost" + r"ed|/simp" + r"le\b|index[-_]u" + "rl"
    ),
}


def committed_texts() -> dict[str, str]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so nothing says which files are committed")
    texts = {}
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                texts[name] = content.decode("utf-8", "replace")
    return texts


def mentions(name: str, text: str) -> list[str]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in PRIVATE.items():
            if pattern.search(line) and name != INTEGRATION:
                found.append(f"{name}:{number} names {what}: {line.strip()[:80]}")
    return found


def test_committed_files_name_no_private_place():
    texts = committed_texts()
    assert "pyproject.toml" in texts
    assert [line for name, text in texts.items() for line in mentions(name, text)] == []


@pytest.mark.parametrize(
    "text",
    [
        '"file": "/wor' + 'k/runs/a"',
        "see ../shar" + "ed/data",
        "pip install --index-u" + "rl https://x",
        "from /hom" + "e/ann/photos",
    ],
)
def test_a_private_place_is_found(text):
    assert len(mentions("x.md", text)) == 1


@pytest.mark.parametrize(
    "text", ["data/work/a.png", "a / root / b", "https://example.org/home/", "~/opt/x"]
)
def test_ordinary_text_passes(text):
    assert mentions("x.md", text) == []
