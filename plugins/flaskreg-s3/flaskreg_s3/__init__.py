"""The storage drivers ``s3`` and ``s3aws``: a registry in an S3 bucket."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from flaskreg import hookimpl
from flaskreg.driver import DriverFactory
from flaskreg.driver import StorageDriver
from flaskreg_s3.build import make_s3 as make_s3
from flaskreg_s3.commands import NAMES
from flaskreg_s3.commands import multiparts
from flaskreg_s3.driver import S3Driver as S3Driver


if TYPE_CHECKING:
    import click


def _factory(name: str) -> Callable[[Mapping[str, Any]], StorageDriver]:
    return lambda parameters: make_s3(f"storage.{name}", parameters)


@hookimpl
def flaskreg_register_drivers() -> Mapping[str, DriverFactory]:
    """Offer the driver under both of its names."""
    return {name: _factory(name) for name in NAMES}


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg multiparts``."""
    return {"multiparts": multiparts}
