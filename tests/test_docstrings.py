"""Every public function, method and class of dpjax explains itself, with types.

Read from the source, so that no optional dependency is needed.  A public name starts
with a letter and lives in a public module and class.  An override explains what is its
own, and may leave the rest to the method it overrides.
"""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p.relative_to(ROOT) for p in ROOT.glob("dpjax/**/*.py"))
SECTIONS = ("Args", "Returns", "Yields", "Raises", "Attributes")
# Read like attributes, so a sentence is enough.
ATTRIBUTE_LIKE = {"property", "cached_property", "setter"}
NOTHING = {"None", "NoReturn", "Never"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Public:
    """A public definition: where it is, its node, and the classes around it."""

    where: str
    node: ast.AST
    owner: ast.ClassDef | None


def definitions(path: Path, tree: ast.Module) -> Iterator[Public]:
    def visit(body, owner, prefix):
        for node in body:
            if isinstance(node, ast.If):  # such as `if TYPE_CHECKING:`
                yield from visit(node.body, owner, prefix)
            if not isinstance(node, (ast.ClassDef, *Function.__args__)):
                continue
            if node.name.startswith("_") and node.name not in ("__init__", "__call__"):
                continue
            yield Public(f"{path}:{node.lineno} {prefix}{node.name}", node, owner)
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, node, f"{prefix}{node.name}.")

    yield from visit(tree.body, None, "")


def last_name(node: ast.AST) -> str:
    """The name at the end of a decorator, base or annotation: a.b(c) is b."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def section(text: str, name: str) -> str | None:
    """The indented block below "Name:", None if there is none."""
    others = "|".join(SECTIONS)
    found = re.search(
        rf"^{name}:\n(.*?)(?=^(?:{others}):\n|\Z)", text, re.DOTALL | re.MULTILINE
    )
    return found and found.group(1)


def entries(block: str) -> set[str]:
    """The names that a section explains: lines of the smallest indent, "name: text"."""
    names = set()
    for line in block.splitlines():
        found = re.match(r" {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*):", line)
        if found:
            names |= {name.strip("* ") for name in found.group(1).split(",")}
    return names


def parameters(node: Function, is_method: bool) -> list[ast.arg]:
    args = node.args
    every = [*args.posonlyargs, *args.args]
    if is_method and "staticmethod" not in map(last_name, node.decorator_list):
        every = every[1:]
    every += args.kwonlyargs
    return every + [a for a in (args.vararg, args.kwarg) if a is not None]


def faults_of_function(item: Public, inherited: dict[str, set[str]]) -> Iterator[str]:
    """Those of one function; `inherited` has the parameters explained above it."""
    node, is_method = item.node, item.owner is not None
    arguments = parameters(node, is_method)
    for argument in arguments:
        if argument.annotation is None:
            yield f"{item.where}: parameter {argument.arg} has no type"
    if node.returns is None and node.name != "__init__":
        yield f"{item.where}: the result has no type"
    text = ast.get_docstring(node)
    if text is None:
        # A class explains how it is built and called, unless it says so here.
        if node.name not in inherited and not node.name.startswith("__"):
            yield f"{item.where}: no docstring"
        return
    if ATTRIBUTE_LIKE & set(map(last_name, node.decorator_list)):
        return
    names = {argument.arg for argument in arguments if not argument.arg.startswith("_")}
    explained = entries(section(text, "Args") or "")
    for name in sorted(names - explained - inherited.get(node.name, set())):
        yield f"{item.where}: Args does not explain {name}"
    for name in sorted(explained - names):
        yield f"{item.where}: Args explains {name}, which is no parameter"
    returns = ast.unparse(node.returns) if node.returns else "None"
    speaks = section(text, "Returns") or section(text, "Yields")
    if returns not in NOTHING and not speaks and node.name not in inherited:
        yield f"{item.where}: no Returns"
    if returns in NOTHING and section(text, "Returns"):
        yield f"{item.where}: Returns, though nothing is returned"


def fields(node: ast.ClassDef) -> set[str]:
    """Public fields of a dataclass or of a module of Flax."""
    kinds = {last_name(n) for n in (*node.decorator_list, *node.bases)}
    if not kinds & {"dataclass", "Module", "NamedTuple"}:
        return set()
    return {
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and not item.target.id.startswith("_")
        and last_name(item.annotation) != "ClassVar"
    }


def faults_of_class(item: Public) -> Iterator[str]:
    text = ast.get_docstring(item.node)
    if text is None:
        yield f"{item.where}: no docstring"
        return
    explained = entries(section(text, "Attributes") or "")
    for name in sorted(fields(item.node) - explained):
        yield f"{item.where}: Attributes does not explain {name}"


def faults(sources: dict[Path, str]) -> dict[Path, list[str]]:
    """What is missing in each file; overrides are looked up in all of them."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    classes = {
        node.name: node
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }

    def documented_above(owner: ast.ClassDef | None) -> dict[str, set[str]]:
        found = {}
        for base in owner.bases if owner else ():
            above = classes.get(last_name(base))
            if above is not None and above is not owner:
                for name, explained in documented_above(above).items():
                    found[name] = found.get(name, set()) | explained
                for n in above.body:
                    text = isinstance(n, Function) and ast.get_docstring(n)
                    if text:
                        explained = entries(section(text, "Args") or "")
                        found[n.name] = found.get(n.name, set()) | explained
        return found

    found = {}
    for path, tree in trees.items():
        lines = [] if ast.get_docstring(tree) or not tree.body else [f"{path}: none"]
        for item in definitions(path, tree):
            if isinstance(item.node, ast.ClassDef):
                lines += faults_of_class(item)
            else:
                lines += faults_of_function(item, documented_above(item.owner))
        found[path] = lines
    return found


@pytest.fixture(scope="module")
def all_faults():
    return faults({path: (ROOT / path).read_text() for path in SOURCES})


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_public_names_are_explained_and_typed(path, all_faults):
    assert all_faults[path] == []


GOOD = '''
"""Module."""
import dataclasses
from flax import linen as nn

class Base:
    """Base."""

    def work(self, x: int) -> int:
        """Returns x.

        Args:
            x: a number;
                more about it.

        Returns:
            The number.
        """

@dataclasses.dataclass
class Inner(Base):
    """Inner.

    Attributes:
        a: first.
        b: second.
    """

    a: int
    b: int
    _c: int = 0

    def work(self, x: int) -> int:
        return x

    @property
    def half(self) -> float:
        """Half."""

    def say(self) -> None:
        """Says it."""

class Last(Base):
    """Last."""

    def work(self, x: int) -> int:
        """Returns x, doubled."""

def _private(x):
    pass
'''


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"""Module."""\n', "", "none"),
        ('    """Base."""\n', "", "no docstring"),
        ('x: int) -> int:\n        "', 'x) -> int:\n        "', "x has no type"),
        ('-> int:\n        """', ':\n        """', "result has no type"),
        ("            x: a number", "            y: a number", "explain x"),
        ("            x: a number", "            y: a number", "explains y"),
        ("        Returns:\n            The number.\n", "", "no Returns"),
        ("        b: second.\n", "", "explain b"),
        ('        """Half."""', "        return 1", "half: no docstring"),
        ("class Inner(Base)", "class Inner", "work: no docstring"),
        ("class Last(Base)", "class Last", "Last.work: Args does not explain x"),
        ("class Last(Base)", "class Last", "Last.work: no Returns"),
        ("doubled.", "y.\n\n        Args:\n            y: a.\n", "Args explains y"),
        (
            'x: int) -> int:\n        """Returns x, d',
            'x: int, z: int) -> int:\n        """Returns x, d',
            "Last.work: Args does not explain z",
        ),
        ("-> int:\n        return x", ":\n        return x", "result has no type"),
        ("Says it.", "Says.\n\n        Returns:\n            It.", "nothing is"),
    ],
)
def test_a_missing_explanation_is_found(old, new, complaint):
    path = Path("x.py")
    assert faults({path: GOOD})[path] == []
    assert GOOD.count(old) >= 1
    assert any(
        complaint in line for line in faults({path: GOOD.replace(old, new)})[path]
    )
