"""The middleware of ``middleware.storage``, around whatever driver was made."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Mapping

from flaskreg.config import Settings
from flaskreg.defaults.services import pick
from flaskreg.driver import StorageDriver
from flaskreg.driver import StorageMiddleware
from flaskreg.hookspecs import hookimpl


@hookimpl(wrapper=True)
def flaskreg_make_driver(
    settings: Settings, middleware: Mapping[str, StorageMiddleware]
) -> Generator[None, StorageDriver, StorageDriver]:
    """Wrap the driver by each entry, the first one innermost."""
    driver = yield
    for at, entry in enumerate(settings.middleware.storage):
        if not entry.disabled:
            wrap = pick(f"middleware.storage[{at}]", entry.name, middleware)
            driver = wrap(driver, entry.options)
    return driver
