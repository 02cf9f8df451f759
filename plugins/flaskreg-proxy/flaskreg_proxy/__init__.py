"""Pull-through caches: other registries beside the local repositories, or instead."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flaskreg import hookimpl
from flaskreg.cache import DescriptorCache
from flaskreg.config import Settings
from flaskreg.driver import StorageDriver
from flaskreg.services import Registry
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.downloads import Downloads
from flaskreg_proxy.eviction import Eviction
from flaskreg_proxy.lifetimes import Endless
from flaskreg_proxy.lifetimes import Lifetimes
from flaskreg_proxy.registry import ProxyRegistry
from flaskreg_proxy.tokens import TokenStore
from flaskreg_proxy.upstreams import make_upstreams
from flaskreg_proxy.workplace import Workplace


if TYPE_CHECKING:
    import click


def make_lifetimes(settings: Settings, driver: StorageDriver) -> Lifetimes:
    """Return what decides how long content stays."""
    del settings, driver
    return Endless()


def make_proxy(
    settings: Settings,
    driver: StorageDriver,
    cache: DescriptorCache,
    registry: Registry,
) -> Registry:
    """Return the registry with the configured caches in it, or as it is without any."""
    proxy = settings.proxy
    if not proxy.configured:
        return registry
    workplace = Workplace(driver, proxy.workdir)
    lifetimes = make_lifetimes(settings, driver)
    downloads = Downloads(workplace, lifetimes, proxy.cachewritetimeout, Counters())
    return ProxyRegistry(
        registry,
        make_upstreams(proxy, TokenStore(workplace)),
        downloads,
        lifetimes,
        Eviction(driver, cache),
        settings.manifests.maxbytes,
    )


@hookimpl(wrapper=True)
def flaskreg_make_registry(
    settings: Settings, driver: StorageDriver, cache: DescriptorCache
) -> Generator[None, Registry, Registry]:
    """Put the caches into the registry."""
    registry = yield
    return make_proxy(settings, driver, cache, registry)


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg mirror``."""
    # The progress bar is for the command alone, and not for each worker.
    from flaskreg_proxy.commands import mirror

    return {"mirror": mirror}
