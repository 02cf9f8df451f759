"""Counts requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flaskreg.observer import Exchange
from flaskreg.observer import Observer
from flaskreg_prometheus.metrics import HANDLERS
from flaskreg_prometheus.metrics import Metrics


@dataclass(frozen=True, slots=True)
class _Handler:
    """The metrics of one endpoint and method, looked up once."""

    in_flight: Any
    duration: Any
    request_size: Any
    response_size: Any


class RequestMetrics(Observer):
    """Counts each request, and measures how long it took.

    :param metrics: of this process.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._handlers: dict[tuple[str, str], _Handler] = {}
        self._codes: dict[tuple[str, str, int], Any] = {}

    def started(self, exchange: Exchange) -> None:
        """Count a request as in flight."""
        self._handler(exchange).in_flight.inc()

    def finished(self, exchange: Exchange) -> None:
        """Count an answer."""
        handler = self._handler(exchange)
        handler.in_flight.dec()
        handler.duration.observe(exchange.seconds)
        received = exchange.environ.get("CONTENT_LENGTH") or "0"
        if received.isascii() and received.isdigit():
            handler.request_size.observe(int(received))
        sent = "0" if exchange.method == "HEAD" else exchange.header("Content-Length")
        handler.response_size.observe(int(sent or 0))
        self._counter(exchange).inc()
        if exchange.error is not None:
            self._metrics.errors.labels(exchange.code).inc()

    def _handler(self, exchange: Exchange) -> _Handler:
        key = (exchange.endpoint, exchange.method)
        found = self._handlers.get(key)
        if found is None:
            name, method = _names(exchange)
            metrics = self._metrics
            found = self._handlers[key] = _Handler(
                metrics.in_flight.labels(name),
                metrics.duration.labels(name, method),
                metrics.request_size.labels(name),
                metrics.response_size.labels(name),
            )
        return found

    def _counter(self, exchange: Exchange) -> Any:
        key = (exchange.endpoint, exchange.method, exchange.status)
        found = self._codes.get(key)
        if found is None:
            name, method = _names(exchange)
            code = str(exchange.status)
            found = self._metrics.requests.labels(code, name, method)
            self._codes[key] = found
        return found


def _names(exchange: Exchange) -> tuple[str, str]:
    return HANDLERS.get(exchange.endpoint, "other"), exchange.method.lower()
