"""Imports go down: every module has a floor, and imports from no floor above it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import flaskreg


ROOT = Path(flaskreg.__file__).parent

#: modules and packages by their floor.
FLOORS = (
    (
        "errors",
        "digest",
        "names",
        "descriptor",
        "mediatypes",
        "forwarding",
        "lru",
        "breaker",
        "version",
    ),
    (
        "handover",
        "driver",
        "driverwrapper",
        "cache",
        "access",
        "filelook",
        "filewatch",
        "manifest",
        "services",
        "servicewrappers",
        "config",
        "hookspecs",
        "servertls",
        "observer",
        "events",
        "measurement",
        "around",
    ),
    ("storage", "upkeep"),
    ("defaults", "transfer", "tls"),
    ("routes",),
    (
        "plugins",
        "app",
        "serving",
        "logs",
        "health",
        "background",
        "debugserver",
        "debugvars",
        "lead",
        "runfolder",
        "doctor",
        "cli",
        "gunicornconf",
        "worker",
        "board",
        "reply",
        "quick",
        "heads",
        "hot",
        "h2c",
        "errorpage",
        "sending",
        "socketbody",
        "",
    ),
)
#: beside the floors: it imports what it tests, and nobody imports it.
TESTING = "testing"

#: third-party packages, and who may import them: a floor and all above it, or a list.
USERS: dict[str, int | tuple[str, ...]] = {
    "pluggy": ("hookspecs", "plugins", "app", "defaults", "cli"),
    "flask": 4,
    "werkzeug": 4,
    "itsdangerous": 4,
    "pydantic": ("config",),
    "pydantic_core": ("config",),
    "yaml": ("config",),
    "click": ("cli",),
    "rich": ("cli",),
    "gunicorn": ("gunicornconf", "worker", "quick", "reply", "logs", "h2c"),
    "urllib3": ("transfer",),
    "gunicorn_h1c": ("quick",),
}

#: what a floor may import of no other floor, by packages.
FORBIDDEN = (
    ("routes", "storage"),
    ("routes", "defaults"),
    ("routes", "config"),
    ("storage", "config"),
    ("storage", "hookspecs"),
    ("storage", "upkeep"),
    ("upkeep", "config"),
)

#: packages of the standard library that do input and output.
IO = frozenset({"os", "pathlib", "socket", "shutil", "tempfile", "urllib.request"})


class Import(NamedTuple):
    """One import statement's target."""

    target: str
    #: whether only a type checker runs it.
    typing: bool
    line: int


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").rstrip(".")


#: every module by its name below ``flaskreg``; that one itself is ``""``.
MODULES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def part(module: str) -> str:
    """Return the part of flaskreg, as :data:`FLOORS` names it, of a module."""
    return module.partition(".")[0]


def floor(module: str) -> int:
    """Return the floor of a module of flaskreg."""
    return next(at for at, parts in enumerate(FLOORS) if part(module) in parts)


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Return all that a module imports, anywhere in it."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    return tuple(_iter_imports(tree, typing=False))


def _iter_imports(node: ast.AST, *, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, typing, node.lineno)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        assert node.module is not None
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            inner = full.removeprefix("flaskreg.")
            is_module = node.module.startswith("flaskreg") and inner in MODULES
            yield Import(full if is_module else node.module, typing, node.lineno)
    for child in ast.iter_child_nodes(node):
        checked = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        yield from _iter_imports(child, typing=typing or checked)


def own(module: str, *, typing: bool = True) -> Iterator[str]:
    """Yield the modules of flaskreg that a module imports."""
    for each in imports(module):
        if part(each.target) == "flaskreg" and (typing or not each.typing):
            yield each.target.removeprefix("flaskreg").removeprefix(".")


def test_every_module_has_a_floor() -> None:
    """A new module is put on a floor before it is imported anywhere."""
    known = {each for parts in FLOORS for each in parts} | {TESTING}
    assert {part(module) for module in MODULES} == known


@pytest.mark.parametrize("module", [each for each in MODULES if part(each) != TESTING])
def test_imports_go_down(module: str) -> None:
    """A module imports from floors below its own, and beside it from its own."""
    for target in own(module):
        assert part(target) != TESTING, "nobody imports the suites"
        assert floor(target) <= floor(module), f"{module} imports {target} above it"


def test_within_a_floor_imports_go_down_too() -> None:
    """No module imports itself by way of others, so that each can be read alone."""
    graph = {module: set(own(module, typing=False)) for module in MODULES}
    assert set().union(*graph.values()) <= MODULES.keys()
    tuple(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", [each for each in MODULES if part(each) != TESTING])
def test_third_parties_stay_where_they_belong(module: str) -> None:
    """Each other package is known by those parts alone that are about it."""
    for each in imports(module):
        top = part(each.target)
        if each.typing or top == "flaskreg" or top in sys.stdlib_module_names:
            continue
        users = USERS[top]
        if isinstance(users, int):
            assert floor(module) >= users, f"line {each.line}: {top}"
        else:
            assert part(module) in users, f"line {each.line}: {top}"


@pytest.mark.parametrize(("user", "used"), FORBIDDEN)
def test_floors_that_do_not_know_each_other(user: str, used: str) -> None:
    """HTTP and storage meet in the contracts, and neither reads the settings."""
    for module in MODULES:
        if part(module) == user:
            assert used not in {part(target) for target in own(module)}, module


@pytest.mark.parametrize(
    "module", [each for each in MODULES if part(each) in (*FLOORS[0], *FLOORS[2])]
)
def test_no_input_or_output(module: str) -> None:
    """The vocabulary and the services know no files of the operating system."""
    found = {each.target for each in imports(module)} & IO
    assert not found
