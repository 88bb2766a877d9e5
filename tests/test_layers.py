"""Reads every import and holds the code to the layers of the design.

From top to bottom, imports point down only:
train.py, evaluate.py, configs > cli > training > inference > tasks > weights > models >
losses, metrics > data > viz > ops > config, storage > errors.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("train", "evaluate", "configs"),
    ("dpjax.__main__",),
    ("dpjax.cli",),
    ("dpjax",),  # the package itself: its lazy names reach down to inference
    ("dpjax.training",),
    ("dpjax.inference",),
    ("dpjax.tasks",),
    ("dpjax.weights",),
    ("dpjax.models",),
    ("dpjax.losses", "dpjax.metrics"),
    ("dpjax.data",),
    ("dpjax.viz",),
    ("dpjax.ops",),
    ("dpjax.config", "dpjax.storage"),
    ("dpjax.errors",),
)
RANK = {name: rank for rank, names in enumerate(reversed(LAYERS)) for name in names}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}

SOURCES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.py", "configs/**/*.py", "dpjax/**/*.py")
    for path in ROOT.glob(pattern)
)


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str | None:
    """The part of the design that a module belongs to; None for other packages."""
    parts = module.split(".")
    if parts[0] != "dpjax":
        return parts[0] if parts[0] in RANK else None
    return ".".join(parts[:2])


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each module a file imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield node.lineno, whole if is_module(whole) else base


def misplaced(module: str, source: str) -> list[str]:
    """One line for each import that does not point down."""
    own = layer_of(module)
    wrong = []
    for line, name in imports(source):
        if name.startswith("."):
            wrong.append(f"{module}:{line} imports {name} by a relative path")
            continue
        other = layer_of(name)
        if other is None or other == own:
            continue
        if other not in RANK:
            wrong.append(f"{module}:{line} imports {name}, which is in no layer")
        elif RANK[other] >= RANK[own]:
            wrong.append(f"{module}:{line} imports {name}: {own} is not above {other}")
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_down(path):
    module = module_name(path)
    assert layer_of(module) in RANK, f"{path} is in no layer of the design"
    assert misplaced(module, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("dpjax.ops.resize", "from dpjax.models import zoo", "is not above"),
        ("dpjax.ops.resize", "def f():\n    import dpjax.data.pipeline", "not above"),
        ("dpjax.losses.x", "from dpjax.metrics import restoration", "not above"),
        ("dpjax.models.zoo", "from . import rednet", "relative"),
        ("dpjax.tasks.x", "import dpjax", "not above"),
        ("dpjax.cli.x", "import train", "not above"),
        ("dpjax.cli.x", "from dpjax.secret import y", "no layer"),
        ("dpjax.training.x", "from dpjax import config, cli", "not above"),
    ],
)
def test_a_wrong_import_is_found(module, source, complaint):
    (found,) = misplaced(module, source)
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dpjax.cli.plan", "from dpjax.training import plan"),
        ("dpjax.training.loop", "from dpjax import config, errors"),
        ("dpjax.models.zoo", "from dpjax.models import rednet\nimport jax"),
        ("configs.restoration.demo", "from dpjax.config import Data"),
        ("train", "from dpjax.cli import exits"),
    ],
)
def test_a_right_import_passes(module, source):
    assert misplaced(module, source) == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_files_are_named_after_what_they_hold(path):
    assert not NAMELESS & {part.strip("_") for part in path.with_suffix("").parts}


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[0] == "dpjax"], ids=str)
def test_modules_are_imported_not_their_names(path):
    """`from dpjax.ops import resize`, `resize.imresize`: a reader sees the home."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dpjax"):
            for alias in node.names:
                assert is_module(f"{node.module}.{alias.name}"), (
                    f"{path}:{node.lineno} imports {alias.name} out of {node.module}"
                )


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parts[0] == "configs"], ids=str
)
def test_configs_are_plain(path):
    """A config holds values: no conditions, and nothing but dpjax and its parent."""
    tree = ast.parse((ROOT / path).read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.If, ast.IfExp, ast.For, ast.While, ast.Try)), (
            f"{path}:{node.lineno} decides something"
        )
    for line, name in imports((ROOT / path).read_text()):
        assert name.split(".")[0] in ("dpjax", "configs", "dataclasses"), (
            f"{path}:{line} imports {name}"
        )
    if tree.body:
        described = ast.get_docstring(tree) or ""
        for word in ("Run:", "Source:"):
            assert word in described, f"{path} does not say {word}"
