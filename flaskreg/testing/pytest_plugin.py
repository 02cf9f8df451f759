"""The pytest plugin: readable assertions of the suites, and the core's own options.

pytest loads it wherever flaskreg is installed, so it imports nothing of flaskreg.
"""

from __future__ import annotations

import pytest


_SUITES = (
    "access",
    "caches",
    "driver_content",
    "driver_fixtures",
    "driver_tree",
    "driver_writers",
    "drivers",
    "manifests",
    "packaging",
)


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


@pytest.fixture(scope="session")
def flaskreg_driver_name(pytestconfig: pytest.Config) -> str:
    """Return the name of the storage driver to test with."""
    return str(pytestconfig.getoption("--flaskreg-driver"))


@pytest.fixture(scope="session")
def flaskreg_cache_name(pytestconfig: pytest.Config) -> str:
    """Return the name of the descriptor cache to test with."""
    return str(pytestconfig.getoption("--flaskreg-cache"))
