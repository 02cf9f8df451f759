"""What the tests of the core share: settings, applications, and images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp

from flaskreg import create_app
from flaskreg.app import RegistryApp
from flaskreg.config import Settings
from flaskreg.upkeep.purger import Purger


#: drivers and caches that the tests of the HTTP API go over.
BACKENDS = (("inmemory", "inmemory"), ("filesystem", "none"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what makes an application over both drivers and both caches.

    Options that choose a driver or a cache have it run over those alone.
    """
    if "backend" not in metafunc.fixturenames:
        return
    config = metafunc.config
    chosen = (
        config.getoption("--flaskreg-driver"),
        config.getoption("--flaskreg-cache"),
    )
    default = chosen == BACKENDS[0]
    backends = list(BACKENDS) if default else [chosen]
    metafunc.parametrize("backend", backends, indirect=True, ids="-".join)


@pytest.fixture(autouse=True)
def purging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave it out: a thread of each application would write beside the test."""
    monkeypatch.setattr(Purger, "run", lambda _purger, _stop: None)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Return the names of the driver and the cache of the test."""
    chosen: tuple[str, str] = request.param
    return chosen


@pytest.fixture
def make_app(
    tmp_path: Path,
    backend: tuple[str, str],
    flaskreg_driver_parameters: dict[str, Any],
) -> Iterator[MakeApp]:
    """Return a function that makes an application on an empty storage.

    Its keywords are sections of the settings, as nested dictionaries. Deletes are on
    unless a test says otherwise. The driver and the cache are those of
    :func:`backend`.
    """
    made: list[RegistryApp] = []

    def make(plugins: tuple[object, ...] = (), **sections: Any) -> RegistryApp:
        storage: dict[str, Any] = {
            "driver": backend[0],
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": backend[1]},
        }
        if flaskreg_driver_parameters:
            storage["parameters"] = flaskreg_driver_parameters
        storage.update(sections.pop("storage", {}))
        if storage["driver"] == "filesystem":
            root = str(tmp_path / f"registry{len(made)}")
            storage.setdefault("parameters", {"rootdirectory": root})
        settings = Settings.model_validate({"storage": storage, **sections})
        app = create_app(settings, plugins)
        made.append(app)
        return app

    yield make
    for app in made:
        app.driver.close()


@pytest.fixture
def app(make_app: MakeApp) -> RegistryApp:
    """Return an application with the standard settings."""
    return make_app()


@pytest.fixture
def client(app: RegistryApp) -> Client:
    """Return a client of :func:`app`."""
    return Client(app)


@pytest.fixture
def other_app(make_app: MakeApp, app: RegistryApp) -> RegistryApp:
    """Return an application on the storage of :func:`app`, as another worker has."""
    return make_app((GivenDriver(app.driver),))


@pytest.fixture
def other_client(other_app: RegistryApp) -> Client:
    """Return a client of :func:`other_app`."""
    return Client(other_app)
