"""Registries on both drivers, with both caches, and without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import WatchedDriver

from flaskreg.cache import DescriptorCache
from flaskreg.config import Settings
from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.defaults.manifestoptions import STANDARD_ORDER
from flaskreg.defaults.memorycache import MemoryCache
from flaskreg.defaults.memorycache import NoCache
from flaskreg.driver import StorageDriver
from flaskreg.plugins import collect
from flaskreg.plugins import make_plugin_manager
from flaskreg.storage.registry import LocalRegistry
from flaskreg.storage.repository import LocalRepository


MakeRegistry = Callable[..., LocalRegistry]


@pytest.fixture(params=["inmemory", "filesystem"])
def plain_driver(request: pytest.FixtureRequest, tmp_path: Path) -> StorageDriver:
    """Return an empty driver of either kind."""
    if request.param == "inmemory":
        return InMemoryDriver()
    return FilesystemDriver(str(tmp_path / "registry"))


@pytest.fixture
def driver(plain_driver: StorageDriver) -> WatchedDriver:
    """Return an empty driver of either kind that notes its calls."""
    return WatchedDriver(plain_driver)


@pytest.fixture(params=["memory", "none"])
def cache(request: pytest.FixtureRequest) -> DescriptorCache:
    """Return a cache of either kind."""
    return MemoryCache() if request.param == "memory" else NoCache()


@pytest.fixture(scope="session")
def manifest_parts() -> dict[str, Any]:
    """Return the manifest types and options that the core registers."""
    manager = make_plugin_manager(discover=False)
    options = collect(manager, "flaskreg_register_manifest_options")
    settings = Settings.model_validate({"storage": {"driver": "inmemory"}})
    return {
        "manifest_types": collect(manager, "flaskreg_register_manifest_types"),
        "manifest_options": [options[name]({}, settings) for name in STANDARD_ORDER],
    }


@pytest.fixture
def make_registry(
    driver: WatchedDriver, manifest_parts: dict[str, Any]
) -> Iterator[MakeRegistry]:
    """Return a function that makes a registry on the driver, as a process does.

    Each has a cache of its own, and deletes are on, unless the test says otherwise.
    """

    def make(**options: Any) -> LocalRegistry:
        options = {
            "driver": driver,
            "cache": MemoryCache(),
            "delete_enabled": True,
            **manifest_parts,
            **options,
        }
        return LocalRegistry(**options)

    yield make
    driver.close()


@pytest.fixture
def registry(make_registry: MakeRegistry, cache: DescriptorCache) -> LocalRegistry:
    """Return a registry on either driver with either cache."""
    return make_registry(cache=cache)


@pytest.fixture
def repository(registry: LocalRegistry) -> LocalRepository:
    """Return a repository of :func:`registry`."""
    repository = registry.repository("team/app")
    assert isinstance(repository, LocalRepository)
    return repository


@pytest.fixture
def other(make_registry: MakeRegistry) -> LocalRepository:
    """Return the same repository, as another process has it."""
    repository = make_registry().repository("team/app")
    assert isinstance(repository, LocalRepository)
    return repository
