"""Metrics for Prometheus (``http.debug.prometheus``).

Nothing is imported, wrapped or counted unless the configuration asks for metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg import hookimpl
from flaskreg.cache import DescriptorCache
from flaskreg.config import Settings
from flaskreg.driver import StorageDriver
from flaskreg.measurement import Meter
from flaskreg.observer import Observer


def wanted(settings: Settings) -> bool:
    """Whether there is an address for metrics, and they are switched on."""
    debug = settings.http.debug
    return bool(debug.addr) and debug.prometheus.enabled


@hookimpl
def flaskreg_register_observers(settings: Settings) -> Mapping[str, Observer]:
    """Offer what counts requests."""
    if not wanted(settings):
        return {}
    from flaskreg_prometheus.metrics import process_metrics
    from flaskreg_prometheus.requests import RequestMetrics

    return {"prometheus": RequestMetrics(process_metrics())}


@hookimpl
def flaskreg_register_debug_pages(
    settings: Settings, meters: Sequence[Meter]
) -> Mapping[str, Callable[..., Iterable[bytes]]]:
    """Offer the page that Prometheus reads."""
    if not wanted(settings):
        return {}
    from flaskreg_prometheus.metrics import process_metrics
    from flaskreg_prometheus.page import make_page

    path = settings.http.debug.prometheus.path
    return {path: make_page(process_metrics(), meters)}


@hookimpl(wrapper=True)
def flaskreg_make_driver(
    settings: Settings,
) -> Generator[None, StorageDriver, StorageDriver]:
    """Measure what the storage takes."""
    driver = yield
    if not wanted(settings):
        return driver
    from flaskreg_prometheus.metrics import process_metrics
    from flaskreg_prometheus.storage import MeasuredDriver

    return MeasuredDriver(driver, process_metrics())


@hookimpl(wrapper=True)
def flaskreg_make_cache(
    settings: Settings,
) -> Generator[None, DescriptorCache, DescriptorCache]:
    """Count what the descriptor cache answers, when there is one."""
    cache = yield
    if not wanted(settings) or not settings.storage.cache.blobdescriptor:
        return cache
    from flaskreg_prometheus.metrics import process_metrics
    from flaskreg_prometheus.storage import MeasuredCache

    return MeasuredCache(cache, process_metrics())
