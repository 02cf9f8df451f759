"""Measures the storage driver and the descriptor cache."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from flaskreg.around import AroundDriver
from flaskreg.cache import DescriptorCache
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg_prometheus.metrics import Metrics


class _Timed:
    """Observes the time that a block takes."""

    __slots__ = ("_began", "_histogram")

    def __init__(self, histogram: Any) -> None:
        self._histogram = histogram

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._histogram.observe(time.perf_counter() - self._began)


class MeasuredDriver(AroundDriver):
    """Measures how long each action of a driver takes.

    :param inner: the driver.
    :param metrics: of this process.
    """

    def __init__(self, inner: StorageDriver, metrics: Metrics) -> None:
        super().__init__(inner)
        self._metrics = metrics
        self._actions: dict[str, Any] = {}

    def around(self, action: str, path: str) -> AbstractContextManager[Any]:
        """Return what measures an action."""
        del path
        histogram = self._actions.get(action)
        if histogram is None:
            histogram = self._metrics.storage.labels(action, self.name)
            self._actions[action] = histogram
        return _Timed(histogram)


class MeasuredCache(DescriptorCache):
    """Counts what a cache answers.

    :param inner: the cache.
    :param metrics: of this process.
    """

    def __init__(self, inner: DescriptorCache, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics
        self.shared = inner.shared

    def stat(self, digest: Digest, repository: str | None = None) -> Descriptor | None:
        """Return the descriptor of *digest*, if it is known."""
        self._metrics.cache_requests.inc()
        found = self._inner.stat(digest, repository)
        if found is not None:
            self._metrics.cache_hits.inc()
        return found

    def set(
        self, digest: Digest, descriptor: Descriptor, repository: str | None = None
    ) -> None:
        """Remember *descriptor*."""
        self._inner.set(digest, descriptor, repository)

    def clear(self, digest: Digest, repository: str | None = None) -> None:
        """Forget *digest*."""
        self._inner.clear(digest, repository)

    def close(self) -> None:
        """Close the cache."""
        self._inner.close()
