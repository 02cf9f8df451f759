"""The storage driver ``azure``: a registry in a container of Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskreg import hookimpl
from flaskreg.driver import DriverFactory
from flaskreg.driver import StorageDriver
from flaskreg_azure.account import Account
from flaskreg_azure.driver import AzureDriver as AzureDriver
from flaskreg_azure.parameters import read_parameters


def make_azure(parameters: Mapping[str, Any]) -> StorageDriver:
    """Make the driver from its section of the configuration.

    :raises ConfigError: a parameter is unknown, missing or wrong.
    """
    read = read_parameters(parameters)
    return AzureDriver(Account(read), read)


@hookimpl
def flaskreg_register_drivers() -> Mapping[str, DriverFactory]:
    """Offer the driver under its name."""
    return {"azure": make_azure}
