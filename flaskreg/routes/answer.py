"""What an endpoint answers, before it becomes a response of Flask or of WSGI."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from typing import Protocol


Headers = list[tuple[str, str]]

#: the largest piece of a body in memory that is handed to the server at once: a server
#: gives one time-out to each piece.
PIECE = 128 << 10


class StreamedBody(Protocol):
    """Bytes that are read while they are sent."""

    #: in bytes.
    length: int

    def read(self, size: int = -1) -> bytes:
        """Return further bytes, ``b""`` at the end."""

    def close(self) -> None:
        """Let go of what is read; called when all is sent, or the client is gone."""


@dataclass(slots=True)
class Answer:
    """Status, headers and body."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | StreamedBody = b""


def json_answer(
    document: Any,
    headers: Iterable[tuple[str, str]] = (),
    status: int = 200,
    media_type: str = "application/json",
) -> Answer:
    """Return a JSON document, as compact and newline-ended as distribution's."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    # What a client sent may hold half of a character, and is told back in an error.
    body = text.encode("utf-8", "replace") + b"\n"
    return Answer(
        status,
        [
            ("Content-Type", media_type),
            ("Content-Length", str(len(body))),
            *headers,
        ],
        body,
    )


def empty_answer(status: int, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Return an answer without a body."""
    return Answer(status, [*headers, ("Content-Length", "0")])


@lru_cache(maxsize=128)
def status_line(status: int) -> str:
    """Return the status with its phrase."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
