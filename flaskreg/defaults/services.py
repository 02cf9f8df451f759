"""The core's own answers to the make hooks: what the configuration names, plainly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeVar

import pluggy

from flaskreg.access import AccessController
from flaskreg.access import AccessControllerFactory
from flaskreg.cache import CacheFactory
from flaskreg.cache import DescriptorCache
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults.distributions import distribution_of
from flaskreg.driver import DriverFactory
from flaskreg.driver import StorageDriver
from flaskreg.hookspecs import hookimpl
from flaskreg.manifest import ManifestOption
from flaskreg.manifest import ManifestType
from flaskreg.services import GlobalScope
from flaskreg.services import GlobScope
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.storage.registry import LocalRegistry


T = TypeVar("T")


def pick(key: str, name: str, offered: Mapping[str, T]) -> T:
    """Return what is offered under the name that a setting has.

    :param key: of the setting, for the error.
    :raises ConfigError: nothing is; it says what to install and what is there.
    """
    try:
        return offered[name]
    except KeyError:
        others = ", ".join(sorted(offered))
        raise ConfigError(
            f"{key}: no installed plugin offers {name!r}; "
            f"try `pip install {distribution_of(name)}`"
            + (f", or one of {others}" if others else "")
        ) from None


@hookimpl(trylast=True)
def flaskreg_make_driver(
    settings: Settings, drivers: Mapping[str, DriverFactory]
) -> StorageDriver:
    """Make the driver that ``storage`` names."""
    factory = pick("storage", settings.storage.driver, drivers)
    return factory(settings.storage.parameters)


@hookimpl(trylast=True)
def flaskreg_make_cache(
    settings: Settings, caches: Mapping[str, CacheFactory]
) -> DescriptorCache:
    """Make the cache that ``storage.cache.blobdescriptor`` names."""
    cache = settings.storage.cache
    name = cache.blobdescriptor or "none"
    parameters = dict(cache.options)
    if name != "none":
        parameters["blobdescriptorsize"] = cache.blobdescriptorsize
    return pick("storage.cache.blobdescriptor", name, caches)(parameters)


@hookimpl(trylast=True)
def flaskreg_make_access_controller(
    settings: Settings, controllers: Mapping[str, AccessControllerFactory]
) -> AccessController:
    """Make the controller that ``auth`` names."""
    factory = pick("auth", settings.auth.controller, controllers)
    return factory(settings.auth.parameters)


@hookimpl(trylast=True)
def flaskreg_make_registry(
    settings: Settings,
    driver: StorageDriver,
    cache: DescriptorCache,
    manifest_types: Mapping[str, ManifestType],
    manifest_options: Sequence[ManifestOption],
    hook: pluggy.HookRelay,
) -> Registry:
    """Make the registry on the driver."""

    def make_repository(registry: Registry, name: str) -> Repository:
        made: Repository = hook.flaskreg_make_repository(registry=registry, name=name)
        return made

    storage = settings.storage
    return LocalRegistry(
        driver,
        cache,
        manifest_types,
        manifest_options,
        make_repository=make_repository,
        scope=GlobScope(storage.scope) if storage.scope else GlobalScope(),
        delete_enabled=storage.delete.enabled,
        redirect=not storage.redirect.disable,
        is_cache=bool(settings.proxy.remoteurl),
        tag_concurrency=storage.tag.concurrencylimit or os.cpu_count() or 1,
    )


@hookimpl(trylast=True)
def flaskreg_make_repository(registry: Registry, name: str) -> Repository | None:
    """Make a plain repository of a registry that is on a driver."""
    if isinstance(registry, LocalRegistry):
        return registry.local_repository(name)
    return None
