"""The pytest plugin: what the suites need, and the core's own options.

Assertions of the suites are rewritten, and tests of abilities that a plugin does not
have are deselected.

pytest loads it wherever flaskreg is installed, so it imports what it needs when it is
needed.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


_SUITES = (
    "access",
    "caches",
    "driver_content",
    "driver_fixtures",
    "driver_publish",
    "driver_tree",
    "driver_writers",
    "drivers",
    "live",
    "manifests",
    "packaging",
)

#: what a worker of pytest-xdist tells under this name.
_DESELECTED = "flaskreg_deselected"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that run the core's tests over a plugin."""
    group = parser.getgroup("flaskreg")
    group.addoption(
        "--flaskreg-driver",
        default="inmemory",
        metavar="NAME",
        help="the storage driver of the registries that tests make",
    )
    group.addoption(
        "--flaskreg-driver-parameter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of that driver; {tmp_path} is a folder of the test's own",
    )
    group.addoption(
        "--flaskreg-cache",
        default="inmemory",
        metavar="NAME",
        help="the descriptor cache of the registries that tests make",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Let the suites have their assertions rewritten, before a conftest imports any."""
    names = [f"flaskreg.testing.{name}" for name in _SUITES]
    pytest.register_assert_rewrite(*names)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Deselect the tests of suites whose abilities a plugin does not state."""
    from flaskreg.testing.abilities import UnknownAbility
    from flaskreg.testing.abilities import is_wanted

    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        wanted = True
        if isinstance(item, pytest.Function):
            try:
                wanted = is_wanted(item.cls, item.originalname, item.function)
            except UnknownAbility as error:
                raise pytest.UsageError(str(error)) from None
        (chosen if wanted else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = chosen
        if hasattr(config, "workeroutput"):
            config.workeroutput[_DESELECTED] = [item.nodeid for item in others]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Report what a worker of pytest-xdist deselected; each deselects the same."""
    output = getattr(node, "workeroutput", None) or {}
    reporter = node.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and _DESELECTED in output:
        told = [SimpleNamespace(nodeid=nodeid) for nodeid in output[_DESELECTED]]
        reporter.stats.setdefault("deselected", told)


@pytest.fixture(scope="session")
def flaskreg_driver_name(pytestconfig: pytest.Config) -> str:
    """Return the name of the storage driver to test with."""
    return str(pytestconfig.getoption("--flaskreg-driver"))


@pytest.fixture
def flaskreg_driver_parameters(
    pytestconfig: pytest.Config, tmp_path: Path
) -> dict[str, Any]:
    """Return the parameters of the storage driver to test with."""
    import yaml

    given = pytestconfig.getoption("--flaskreg-driver-parameter")
    pairs = (each.replace("{tmp_path}", str(tmp_path)).partition("=") for each in given)
    return {key: yaml.safe_load(value) for key, _, value in pairs}


@pytest.fixture(scope="session")
def flaskreg_cache_name(pytestconfig: pytest.Config) -> str:
    """Return the name of the descriptor cache to test with."""
    return str(pytestconfig.getoption("--flaskreg-cache"))
