"""A span for each call of the storage; the attributes are distribution's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace

from flaskreg.around import AroundDriver
from flaskreg.driver import StorageDriver
from flaskreg_otel.tracing import Tracing


_PREFIX = "io.cncf.distribution.storage"


class TracedDriver(AroundDriver):
    """Makes a span of each call of a driver.

    :param inner: the driver.
    :param tracing: of this process.
    """

    def __init__(self, inner: StorageDriver, tracing: Tracing) -> None:
        super().__init__(inner)
        self._tracing = tracing

    def around(self, action: str, path: str) -> AbstractContextManager[Any]:
        """Return the span of an action."""
        return self._tracing.tracer.start_as_current_span(
            action,
            kind=trace.SpanKind.CLIENT,
            attributes={
                f"{_PREFIX}.driver.name": self.name,
                f"{_PREFIX}.path": path,
            },
            record_exception=False,
            # What is not found is looked for all day, and no error.
            set_status_on_exception=False,
        )
