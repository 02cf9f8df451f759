"""``/healthz``, ``/readyz`` and ``/debug/health``: the answers to those who probe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from flask import Blueprint
from flask import Response

from flaskreg.health.checks import CheckFailed
from flaskreg.health.checks import StorageCheck
from flaskreg.routes.answer import json_answer
from flaskreg.routes.answer import status_line


#: how long an answer of the storage is believed, in seconds.
KEPT = 10.0

#: a page of the debug server.
Page = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Readiness:
    """Whether the storage can be used, asked at most every :data:`KEPT` seconds.

    :param look: uses the storage, and raises what is wrong.
    :param failing: returns the checks that fail, with their sentences.
    """

    def __init__(
        self, look: Callable[[], object], failing: Callable[[], Mapping[str, str]]
    ) -> None:
        self._check = StorageCheck("storage", look)
        self._failing = failing
        self._lock = threading.Lock()
        self._until = 0.0
        self._error: str | None = None

    def failing(self) -> dict[str, str]:
        """Return what is wrong, by name; empty when the registry is ready."""
        found = dict(self._failing())
        error = self._storage()
        if error is not None:
            found["storage"] = error
        return found

    def _storage(self) -> str | None:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._check.check()
                    self._error = None
                except CheckFailed as error:
                    self._error = str(error)
                self._until = time.monotonic() + KEPT
            return self._error


def make_blueprint(readiness: Readiness) -> Blueprint:
    """Return ``/healthz`` and ``/readyz``, which ask for no credentials.

    They tell that something fails and not what: anybody may ask.
    """
    blueprint = Blueprint("health", __name__)

    def healthz() -> Response:
        """Answer that the process lives."""
        return _plain("ok\n", 200)

    def readyz() -> Response:
        """Answer whether requests will be served."""
        if readiness.failing():
            return _plain("not ready\n", 503)
        return _plain("ok\n", 200)

    blueprint.add_url_rule("/healthz", "healthz", healthz)
    blueprint.add_url_rule("/readyz", "readyz", readyz)
    return blueprint


def debug_page(failing: Callable[[], Mapping[str, str]]) -> Page:
    """Return a page that tells what fails and why, as distribution's does.

    :param failing: returns the checks that fail, with their sentences.
    """

    def page(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        found = dict(failing())
        answer = json_answer(found, status=503 if found else 200)
        start_response(status_line(answer.status), answer.headers)
        assert isinstance(answer.body, bytes)
        return (b"",) if environ["REQUEST_METHOD"] == "HEAD" else (answer.body,)

    return page


def _plain(text: str, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(text, status=status, headers=headers, mimetype="text/plain")
