"""Traces for OpenTelemetry, configured by its own environment variables.

Without an exporter or an endpoint among them, or with ``OTEL_SDK_DISABLED=true``,
nothing is imported or wrapped.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from collections.abc import Mapping

from flaskreg import hookimpl
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.driver import StorageDriver
from flaskreg.observer import Observer


#: the exporters that may be named.
EXPORTERS = ("otlp", "console", "none")

#: variables that say where spans go.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def exporter_name() -> str:
    """Return the exporter that the environment names.

    :raises ConfigError: there is none of that name.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return "none"
    addressed = any(os.environ.get(name) for name in ENDPOINTS)
    name = os.environ.get("OTEL_TRACES_EXPORTER") or ("otlp" if addressed else "none")
    if name not in EXPORTERS:
        raise ConfigError.wrong(
            "OTEL_TRACES_EXPORTER", name, f"must be one of {', '.join(EXPORTERS)}"
        )
    return name


@hookimpl
def flaskreg_register_observers(settings: Settings) -> Mapping[str, Observer]:
    """Offer what makes a span of each request."""
    del settings
    if exporter_name() == "none":
        return {}
    from flaskreg_otel.requests import RequestSpans
    from flaskreg_otel.tracing import process_tracing

    return {"otel": RequestSpans(process_tracing())}


@hookimpl(wrapper=True)
def flaskreg_make_driver() -> Generator[None, StorageDriver, StorageDriver]:
    """Make a span of each call of the storage."""
    driver = yield
    if exporter_name() == "none":
        return driver
    from flaskreg_otel.storage import TracedDriver
    from flaskreg_otel.tracing import process_tracing

    return TracedDriver(driver, process_tracing())
