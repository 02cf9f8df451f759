"""The storage driver ``gcs``: a registry in a bucket of Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskreg import hookimpl
from flaskreg.driver import DriverFactory
from flaskreg.driver import StorageDriver
from flaskreg_gcs.driver import GcsDriver as GcsDriver
from flaskreg_gcs.parameters import read_parameters
from flaskreg_gcs.service import Service


def make_gcs(parameters: Mapping[str, Any]) -> StorageDriver:
    """Make the driver from its section of the configuration.

    :raises ConfigError: a parameter is unknown, missing or wrong.
    """
    read = read_parameters(parameters)
    return GcsDriver(Service(read), read)


@hookimpl
def flaskreg_register_drivers() -> Mapping[str, DriverFactory]:
    """Offer the driver under its name."""
    return {"gcs": make_gcs}
