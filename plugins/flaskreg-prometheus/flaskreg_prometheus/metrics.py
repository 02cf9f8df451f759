"""The metrics of one process; those of distribution have its names and buckets.

Where several processes serve, each writes its numbers to files of its own in the
server's folder (prometheus-client's multiprocess mode), and the page adds them up.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from flaskreg.runfolder import VARIABLE


#: prometheus-client reads it when it is first imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"

if FOLDER not in os.environ and os.environ.get(VARIABLE):
    _folder = Path(os.environ[VARIABLE]) / "metrics"
    _folder.mkdir(exist_ok=True)
    os.environ[FOLDER] = str(_folder)

from prometheus_client import CollectorRegistry  # noqa: E402 - the folder goes first
from prometheus_client import Counter  # noqa: E402
from prometheus_client import Gauge  # noqa: E402
from prometheus_client import Histogram  # noqa: E402


#: endpoints by their names in distribution's metrics.
HANDLERS = {
    "base": "base",
    "catalog": "catalog",
    "tags": "tags",
    "manifest": "manifest",
    "blob": "blob",
    "uploads": "blob_upload",
    "upload": "blob_upload_chunk",
    "referrers": "referrers",
}

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)
_STORAGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BYTES = tuple(1024 * 2**n for n in range(22))


class Metrics:
    """Every metric that is counted as it happens."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = Gauge(
            "registry_http_in_flight_requests",
            "The in-flight HTTP requests.",
            ["handler"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.requests = Counter(
            "registry_http_requests_total",
            "Total number of HTTP requests made.",
            ["code", "handler", "method"],
            registry=self.registry,
        )
        self.duration = self._histogram(
            "registry_http_request_duration_seconds",
            "The HTTP request latencies in seconds.",
            _SECONDS,
            "handler",
            "method",
        )
        self.request_size = self._histogram(
            "registry_http_request_size_bytes",
            "The HTTP request sizes in bytes.",
            _BYTES,
            "handler",
        )
        self.response_size = self._histogram(
            "registry_http_response_size_bytes",
            "The HTTP response sizes in bytes.",
            _BYTES,
            "handler",
        )
        self.storage = self._histogram(
            "registry_storage_action_seconds",
            "The number of seconds that the storage action takes.",
            _STORAGE_SECONDS,
            "action",
            "driver",
        )
        self.cache_requests = self._counter(
            "registry_storage_cache_requests_total",
            "Requests to the descriptor cache.",
        )
        self.cache_hits = self._counter(
            "registry_storage_cache_hits_total",
            "Requests that the descriptor cache knew the answer to.",
        )
        self.cache_errors = self._counter(
            "registry_storage_cache_errors_total",
            "Requests to the descriptor cache that failed.",
        )
        self.errors = self._counter(
            "flaskreg_errors_total",
            "Answers that were an error, by its code.",
            "code",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


@cache
def process_metrics() -> Metrics:
    """Return the metrics of this process, made when they are first asked for."""
    return Metrics()
