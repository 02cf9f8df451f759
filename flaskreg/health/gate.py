"""The gate: while a check fails, every request is answered 503.

Source: CNCF distribution's health handler, whose answer this is. ``/healthz`` and
``/readyz``, which it has not, are let through: they say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from flaskreg.errors import Unavailable
from flaskreg.measurement import Measurement
from flaskreg.routes.answer import status_line
from flaskreg.routes.render import render
from flaskreg.version import __version__


#: what is answered whatever fails.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})


class Gate:
    """Knows what fails, and refuses requests while anything does."""

    def __init__(self) -> None:
        #: whether anything fails; looked at for each request.
        self.closed = False
        #: names of the checks that fail, and why.
        self.failing: Mapping[str, str] = {}

    def set(self, failing: Mapping[str, str]) -> None:
        """Note what fails now."""
        self.failing = failing
        self.closed = bool(failing)

    def measure(self) -> Iterator[Measurement]:
        """Yield how many checks fail, and what runs."""
        yield Measurement(
            "flaskreg_health_failing",
            "gauge",
            "Health checks that fail now.",
            len(self.failing),
        )
        yield Measurement(
            "flaskreg_build_info",
            "gauge",
            "The version that runs; always 1.",
            1,
            {"version": __version__},
        )

    def refuse(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes] | None:
        """Answer that the service is unavailable; ``None`` lets a request through."""
        if environ.get("PATH_INFO") in OPEN_PATHS:
            return None
        error = Unavailable(
            "health check failed: please see /debug/health",
            message="service unavailable",
        )
        answer = render(error)
        start_response(status_line(answer.status), answer.headers)
        assert isinstance(answer.body, bytes)
        return (b"",) if environ["REQUEST_METHOD"] == "HEAD" else (answer.body,)
