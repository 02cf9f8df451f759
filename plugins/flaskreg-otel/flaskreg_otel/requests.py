"""A span for each request, within the trace that its client began.

Source: the semantic conventions of OpenTelemetry for HTTP servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from opentelemetry import context
from opentelemetry import propagate
from opentelemetry import trace
from opentelemetry.propagators.textmap import Getter

from flaskreg.observer import Exchange
from flaskreg.observer import Observer
from flaskreg_otel.tracing import Tracing


#: the paths of the endpoints, as the conventions want them: of few different words.
ROUTES = {
    "base": "/v2/",
    "catalog": "/v2/_catalog",
    "tags": "/v2/{name}/tags/list",
    "manifest": "/v2/{name}/manifests/{reference}",
    "blob": "/v2/{name}/blobs/{digest}",
    "uploads": "/v2/{name}/blobs/uploads/",
    "upload": "/v2/{name}/blobs/uploads/{session}",
    "referrers": "/v2/{name}/referrers/{digest}",
}

_NOTE = "otel"


class EnvironGetter(Getter[Mapping[str, Any]]):
    """Reads the headers of a request where they are."""

    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        """Return the values of a header."""
        value = carrier.get("HTTP_" + key.upper().replace("-", "_"))
        return None if value is None else [value]

    def keys(self, carrier: Mapping[str, Any]) -> list[str]:
        """Return the names of the headers."""
        return [
            key[5:].lower().replace("_", "-")
            for key in carrier
            if key.startswith("HTTP_")
        ]


class RequestSpans(Observer):
    """Makes the spans of requests.

    :param tracing: of this process.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._getter = EnvironGetter()

    def started(self, exchange: Exchange) -> None:
        """Begin a span, the one that the storage's are within."""
        parent = propagate.extract(exchange.environ, getter=self._getter)
        route = ROUTES.get(exchange.endpoint, "/v2/")
        span = self._tracing.tracer.start_span(
            f"{exchange.method} {route}",
            context=parent,
            kind=trace.SpanKind.SERVER,
            attributes=dict(_of_request(exchange, route)),
        )
        token = context.attach(trace.set_span_in_context(span, parent))
        notes = exchange.notes = exchange.notes or {}
        notes[_NOTE] = (span, token)

    def finished(self, exchange: Exchange) -> None:
        """End the span."""
        span, token = (exchange.notes or {}).pop(_NOTE)
        context.detach(token)
        span.set_attributes(dict(_of_answer(exchange)))
        if exchange.status >= 500:
            span.set_status(trace.StatusCode.ERROR)
            if exchange.error is not None:
                span.record_exception(exchange.error)
        span.end()


def _of_request(exchange: Exchange, route: str) -> Iterator[tuple[str, str]]:
    environ = exchange.environ
    yield "http.request.method", exchange.method
    yield "http.route", route
    yield "url.scheme", environ.get("wsgi.url_scheme", "http")
    # Never the query: it holds the state of an upload.
    yield "url.path", environ.get("PATH_INFO", "")
    yield "server.address", environ.get("HTTP_HOST", "")
    yield "client.address", exchange.client
    yield "user_agent.original", environ.get("HTTP_USER_AGENT", "")
    if exchange.name:
        yield "flaskreg.repository", exchange.name
    if exchange.reference:
        yield "flaskreg.reference", exchange.reference


def _of_answer(exchange: Exchange) -> Iterator[tuple[str, str | int]]:
    yield "http.response.status_code", exchange.status
    yield "flaskreg.request.id", exchange.id
    if exchange.principal:
        yield "enduser.id", exchange.principal
    if exchange.digest:
        yield "flaskreg.digest", exchange.digest
    if exchange.code:
        yield "error.type", exchange.code
