"""Pull-through caches: other registries beside the local repositories, or instead."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flaskreg import hookimpl
from flaskreg.cache import DescriptorCache
from flaskreg.config import Settings
from flaskreg.driver import StorageDriver
from flaskreg.manifest import ManifestType
from flaskreg.measurement import Meter
from flaskreg.services import Registry
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.revisions import ManifestReader
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.downloads import Downloads
from flaskreg_proxy.leftovers import Leftovers
from flaskreg_proxy.lifetimes import Endless
from flaskreg_proxy.lifetimes import Lifetimes
from flaskreg_proxy.prefetch import make_jobs
from flaskreg_proxy.registry import ProxyRegistry
from flaskreg_proxy.scheduling import Job
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling import Scheduler
from flaskreg_proxy.scheduling import guarded
from flaskreg_proxy.tokens import TokenStore
from flaskreg_proxy.upstreams import Upstreams
from flaskreg_proxy.upstreams import make_upstreams
from flaskreg_proxy.workplace import Workplace


if TYPE_CHECKING:
    import click


def make_lifetimes(
    settings: Settings,
    driver: StorageDriver,
    cache: DescriptorCache,
    upstreams: Upstreams,
    jobs: Sequence[Job],
    leftovers: Leftovers,
) -> Lifetimes:
    """Return what decides how long content stays."""
    proxy = settings.proxy
    limits = Limits(
        ttl=proxy.ttl,
        max_bytes=proxy.maxbytes or None,
        high=proxy.highwater / 100,
        low=proxy.lowwater / 100,
        min_free=proxy.minfree or None,
    )
    if not limits.bounded and not jobs:
        return Endless()
    return Scheduler(
        driver,
        limits,
        cache=cache,
        covers=lambda name: upstreams.find(name) is not None,
        jobs=jobs,
        leftovers=leftovers,
    )


def make_proxy(
    settings: Settings,
    driver: StorageDriver,
    cache: DescriptorCache,
    registry: Registry,
    manifest_types: Mapping[str, ManifestType],
) -> Registry:
    """Return the registry with the configured caches in it, or as it is without any."""
    proxy = settings.proxy
    if not proxy.configured:
        return registry
    workplace = Workplace(driver, proxy.workdir)
    counters = Counters(shown=bool(settings.http.debug.addr))
    upstreams = make_upstreams(proxy, TokenStore(workplace), counters)
    jobs = make_jobs(proxy.prefetch, upstreams, lambda: made)
    lifetimes = make_lifetimes(
        settings, driver, cache, upstreams, jobs, Leftovers(workplace)
    )
    downloads = Downloads(workplace, lifetimes, proxy.cachewritetimeout, counters)
    made = ProxyRegistry(
        registry,
        guarded(registry, lifetimes.hold),
        upstreams,
        downloads,
        lifetimes,
        settings.manifests.maxbytes,
        ManifestReader(BlobContents(driver), manifest_types, 0).parse,
    )
    return made


@hookimpl(wrapper=True)
def flaskreg_make_registry(
    settings: Settings,
    driver: StorageDriver,
    cache: DescriptorCache,
    manifest_types: Mapping[str, ManifestType],
) -> Generator[None, Registry, Registry]:
    """Put the caches into the registry."""
    registry = yield
    return make_proxy(settings, driver, cache, registry, manifest_types)


@hookimpl
def flaskreg_register_meters(settings: Settings) -> Mapping[str, Meter]:
    """Offer what the caches have done, when there are any."""
    if not settings.proxy.configured:
        return {}
    from flaskreg_proxy.meter import measure

    return {"proxy": measure}


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg mirror``."""
    # The progress bar is for the command alone, and not for each worker.
    from flaskreg_proxy.commands import mirror

    return {"mirror": mirror}
