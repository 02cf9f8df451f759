"""The lines of the access log: Apache's combined form, or JSON with what we know."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from flaskreg.logs.formatters import encoded
from flaskreg.logs.formatters import timestamp
from flaskreg.logs.formatters import uri_of
from flaskreg.observer import EXCHANGE
from flaskreg.observer import Exchange


class Sent(NamedTuple):
    """What the server knows of an answer."""

    status: str
    #: bytes of the body that left.
    size: int
    seconds: float


class Combined:
    """Makes lines of the combined log format; a line of a second shares its time."""

    def __init__(self) -> None:
        self._time = (0, "")

    def __call__(self, environ: Mapping[str, Any], sent: Sent) -> str:
        """Return the line of a request, without a line break."""
        exchange: Exchange | None = environ.get(EXCHANGE)
        if exchange is None:
            client, user = environ.get("REMOTE_ADDR") or "-", "-"
        else:
            client = exchange.client or "-"
            user = _safe(exchange.principal or "-").replace(" ", "%20")
        request = (
            f"{environ['REQUEST_METHOD']} {uri_of(environ)} "
            f"{environ.get('SERVER_PROTOCOL', 'HTTP/1.1')}"
        )
        return (
            f"{client} - {user} [{self._now()}] "
            f'"{_safe(request)}" {sent.status} {sent.size} '
            f'"{_safe(environ.get("HTTP_REFERER", ""))}" '
            f'"{_safe(environ.get("HTTP_USER_AGENT", ""))}"'
        )

    def _now(self) -> str:
        second = int(time.time())
        at, text = self._time
        if at != second:
            text = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second))
            self._time = (second, text)
        return text


def as_json(environ: Mapping[str, Any], sent: Sent) -> str:
    """Return the line of a request as JSON, without a line break."""
    now = time.time()
    members: dict[str, Any] = {
        "time": timestamp(now - sent.seconds),
        "remote": environ.get("REMOTE_ADDR") or "",
        "method": environ["REQUEST_METHOD"],
        "uri": uri_of(environ),
        "protocol": environ.get("SERVER_PROTOCOL", ""),
        "status": int(sent.status) if sent.status.isdigit() else 0,
        "bytes": sent.size,
        "duration": round(sent.seconds, 6),
        "referer": environ.get("HTTP_REFERER", ""),
        "useragent": environ.get("HTTP_USER_AGENT", ""),
        "received": _length(environ.get("CONTENT_LENGTH", "")),
    }
    exchange: Exchange | None = environ.get(EXCHANGE)
    if exchange is not None:
        members["remote"] = exchange.client
        members |= {
            "id": exchange.id,
            "user": exchange.principal,
            "endpoint": exchange.endpoint,
            "repository": exchange.name,
            "reference": exchange.reference,
            "digest": exchange.digest,
            "cache": exchange.cache,
            "code": exchange.code,
        }
    return encoded({key: it for key, it in members.items() if it != ""})


#: makes a line of a request and its answer.
AccessLine = Callable[[Mapping[str, Any], Sent], str]


def access_line(form: str) -> AccessLine:
    """Return what makes the lines of a form.

    :param form: ``combined`` or ``json``.
    """
    return as_json if form == "json" else Combined()


def _length(stated: str) -> int:
    return int(stated) if stated.isascii() and stated.isdigit() else 0


def _safe(text: str) -> str:
    """Return text that cannot end the quotes that it stands in."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        each if each.isprintable() and each not in '"\\' else _escaped(each)
        for each in text
    )


def _escaped(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\x{ord(character):02x}"
