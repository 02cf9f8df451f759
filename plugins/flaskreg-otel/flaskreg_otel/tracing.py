"""The tracer of a process, made when the first span is: servers fork before that."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from functools import cache

from opentelemetry.sdk.resources import SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_VERSION
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import Tracer

from flaskreg.config import ConfigError
from flaskreg.version import __version__
from flaskreg_otel import exporter_name


#: of the extra ``grpc``.
_GRPC = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"


class Tracing:
    """Makes spans of this process, and sends them in batches.

    :raises ConfigError: the exporter's protocol is not installed.
    """

    def __init__(self) -> None:
        _exporter_class()
        self._lock = threading.Lock()
        self._made: tuple[int, TracerProvider, Tracer] | None = None

    @property
    def tracer(self) -> Tracer:
        """Return the tracer of this process."""
        made = self._made
        if made is None or made[0] != os.getpid():
            with self._lock:
                made = self._made
                if made is None or made[0] != os.getpid():
                    provider = _make_provider()
                    tracer = provider.get_tracer("flaskreg", __version__)
                    made = self._made = (os.getpid(), provider, tracer)
        return made[2]

    def flush(self) -> None:
        """Send what waits."""
        if self._made is not None:
            self._made[1].force_flush()


@cache
def process_tracing() -> Tracing:
    """Return what makes the spans of this process."""
    return Tracing()


def _make_provider() -> TracerProvider:
    provider = TracerProvider(resource=_resource())
    provider.add_span_processor(BatchSpanProcessor(_make_exporter()))
    return provider


def _resource() -> Resource:
    """Return who the spans are of; the environment knows better."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    name = {} if named else {SERVICE_NAME: "flaskreg"}
    return Resource.create({SERVICE_VERSION: __version__, **name})


def _make_exporter() -> SpanExporter:
    if exporter_name() == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    return _exporter_class()()


def _exporter_class() -> type[SpanExporter]:
    protocol = (
        os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http import trace_exporter

        return trace_exporter.OTLPSpanExporter
    if protocol != "grpc":
        raise ConfigError.wrong(
            "OTEL_EXPORTER_OTLP_PROTOCOL", protocol, "must be http/protobuf or grpc"
        )
    try:
        module = importlib.import_module(_GRPC)
    except ImportError:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_PROTOCOL: grpc needs `pip install flaskreg-otel[grpc]`"
        ) from None
    exporter: type[SpanExporter] = module.OTLPSpanExporter
    return exporter
