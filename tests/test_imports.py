"""What importing dpjax may load: heavy libraries wait until they are used."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "tensorflow",
    "tensorflow_datasets",
    "grain",
    "matplotlib",
    "cv2",
    "PIL",
    "skimage",
)
# Builders of data sets are loaded by TFDS users only, by name.
EXEMPT = "dpjax.data.builders"
MINIMAL = ("jax", "flax", "safetensors")
PREDICTS = ("ops", "models", "losses", "metrics", "weights", "tasks", "inference")

_GUARD = """
import importlib, importlib.abc, sys
blocked = set({blocked!r})

class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Guard())
for name in {modules!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{{name}}: {{error}}")
"""


def modules(*parts: str) -> list[str]:
    """Names of the modules of dpjax, or of some of its packages."""
    names = []
    for path in sorted(ROOT.glob("dpjax/**/*.py")):
        pieces = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces)
        if parts and (len(pieces) < 3 or pieces[1] not in parts):
            continue
        if not name.startswith(EXEMPT):
            names.append(name)
    return names


def failures(names: list[str], blocked: set[str]) -> str:
    """What cannot be imported while some packages are blocked, a line each."""
    code = _GUARD.format(blocked=sorted(blocked), modules=names)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_without_the_heavy_libraries():
    assert failures(["dpjax", *modules()], set(HEAVY)) == ""


def test_the_guard_sees_a_heavy_import():
    assert "blocked: PIL" in failures(["PIL.Image", "dpjax.errors"], set(HEAVY))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_by(roots: tuple[str, ...]) -> set[str]:
    """The distributions that pip installs with these, extras left out."""
    found, queue = set(), [normal(name) for name in roots]
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # wanted on another platform
        for line in lines:
            if "extra ==" not in line:
                queue.append(normal(re.match(r"[\w.-]+", line).group()))
    return found


def test_prediction_imports_where_only_jax_flax_and_safetensors_are_installed():
    allowed = needed_by(MINIMAL)
    blocked = {
        package
        for package, owners in importlib.metadata.packages_distributions().items()
        if not {normal(owner) for owner in owners} & allowed
        and package not in ("dpjax", "pkg_resources")
        and package.isidentifier()
    }
    assert {"tyro", "grain", "cv2", "PIL", "pytest"} <= blocked
    assert failures(["dpjax", *modules(*PREDICTS)], blocked) == ""


@pytest.mark.parametrize("name", ["create_model", "list_models", "Predictor"])
def test_the_public_names_load_on_use(name):
    code = (
        "import sys, dpjax\n"
        "assert 'jax' not in sys.modules, 'import dpjax loads jax'\n"
        f"assert callable(dpjax.{name})\n"
        f"assert {name!r} in dir(dpjax)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)
