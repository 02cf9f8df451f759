"""What the tests of the core share: settings, applications, and images."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.app import RegistryApp
from flaskreg.config import Settings


MakeApp = Callable[..., RegistryApp]


@pytest.fixture
def make_app(
    tmp_path: Path,
    flaskreg_driver_name: str,
    flaskreg_driver_parameters: dict[str, Any],
    flaskreg_cache_name: str,
) -> Iterator[MakeApp]:
    """Return a function that makes an application on an empty storage.

    Its keywords are sections of the settings, as nested dictionaries. Deletes are on
    unless a test says otherwise. The driver and the cache are those of the options
    ``--flaskreg-driver`` and ``--flaskreg-cache``.
    """
    made: list[RegistryApp] = []

    def make(plugins: tuple[object, ...] = (), **sections: Any) -> RegistryApp:
        storage: dict[str, Any] = {
            "driver": flaskreg_driver_name,
            "parameters": flaskreg_driver_parameters,
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": flaskreg_cache_name},
        }
        storage.update(sections.pop("storage", {}))
        if storage["driver"] == "filesystem":
            root = str(tmp_path / f"registry{len(made)}")
            storage["parameters"] = {"rootdirectory": root, **storage["parameters"]}
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
