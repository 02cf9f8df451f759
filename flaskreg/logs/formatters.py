"""The forms of a line of the log: text, json and logstash, as distribution has them.

Source: logrus's text and JSON formatters and its logstash formatter; the names of the
fields of a request are distribution's.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from flaskreg.observer import CURRENT
from flaskreg.observer import Exchange


#: the levels as logrus names them.
LEVELS = {"WARN": "warning", "WARNING": "warning", "CRITICAL": "fatal"}

#: text that needs no quotes in a line of text.
_PLAIN = re.compile(r"[A-Za-z0-9._/@^+-]+")

#: what a path holds after its name, by the endpoint.
_REFERENCES = {
    "manifest": "vars.reference",
    "blob": "vars.digest",
    "referrers": "vars.digest",
    "upload": "vars.uuid",
}

#: the state of an upload, which is nobody's business but the client's.
_STATE = re.compile(r"(?<=_state=)[^&]*")


def level_of(record: logging.LogRecord) -> str:
    """Return the level of a record by its name in a log of distribution."""
    return LEVELS.get(record.levelname, record.levelname.lower())


def timestamp(seconds: float) -> str:
    """Return a time in RFC 3339 with microseconds, in UTC."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1_000_000):06d}Z"


def uri_of(environ: Mapping[str, Any]) -> str:
    """Return the target of a request as it was sent, without the state of an upload."""
    uri = str(environ.get("RAW_URI") or environ.get("PATH_INFO", ""))
    return _STATE.sub("...", uri) if "_state=" in uri else uri


def request_fields(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Yield what a line says of the request that it belongs to."""
    environ = exchange.environ
    yield "http.request.id", exchange.id
    yield "http.request.method", exchange.method
    yield "http.request.host", environ.get("HTTP_HOST", "")
    yield "http.request.uri", uri_of(environ)
    yield "http.request.remoteaddr", exchange.client
    yield "http.request.useragent", environ.get("HTTP_USER_AGENT", "")
    yield "auth.user.name", exchange.principal
    yield "vars.name", exchange.name
    yield _REFERENCES.get(exchange.endpoint, "vars.reference"), exchange.reference


class LineFormatter(logging.Formatter):
    """What all forms share: which fields a line has.

    :param fields: added to every line (``log.fields``).
    :param caller: add the function and the file (``log.reportcaller``).
    """

    def __init__(self, fields: Mapping[str, Any], *, caller: bool = False) -> None:
        super().__init__()
        self._fields = dict(fields)
        self._caller = caller

    def members(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a line, without time, level and message."""
        found: dict[str, Any] = {"pid": os.getpid(), **self._fields}
        exchange = CURRENT.get()
        if exchange is not None:
            found.update(each for each in request_fields(exchange) if each[1])
        found.update(getattr(record, "fields", {}))
        if self._caller:
            found["func"] = f"{record.module}.{record.funcName}"
            found["file"] = f"{record.pathname}:{record.lineno}"
        return found

    def trace(self, record: logging.LogRecord) -> str:
        """Return the traceback of a record; ``""`` when it has none."""
        return self.formatException(record.exc_info) if record.exc_info else ""


class TextFormatter(LineFormatter):
    """``time="..." level=info msg="..." key=value``; a traceback follows below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        members = {
            "level": level_of(record),
            "msg": record.getMessage(),
            **self.members(record),
        }
        pairs = [f'time="{timestamp(record.created)}"']
        pairs += [f"{name}={quoted(value)}" for name, value in members.items()]
        line, trace = " ".join(pairs), self.trace(record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(LineFormatter):
    """One JSON object a line: ``time``, ``level``, ``msg`` and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return encoded(
            {
                "time": timestamp(record.created),
                "level": level_of(record),
                "msg": record.getMessage(),
                **self.members(record),
                **_named("error.stack", self.trace(record)),
            }
        )


class LogstashFormatter(LineFormatter):
    """One JSON object a line, as logstash wants it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return encoded(
            {
                "@timestamp": timestamp(record.created),
                "@version": "1",
                "message": record.getMessage(),
                "level": level_of(record),
                "type": "flaskreg",
                **self.members(record),
                **_named("error.stack", self.trace(record)),
            }
        )


#: the formatters by their names in ``log.formatter``.
FORMATTERS: Mapping[str, type[LineFormatter]] = {
    "text": TextFormatter,
    "json": JsonFormatter,
    "logstash": LogstashFormatter,
}


def quoted(value: object) -> str:
    """Return a value of a text line, in quotes when it needs them."""
    text = value if isinstance(value, str) else encoded(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def encoded(document: object) -> str:
    """Return a document as one line of JSON; what is not JSON becomes text."""
    return (
        json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str)
        .encode("utf-8", "replace")
        .decode("utf-8")
    )


def _named(name: str, value: str) -> dict[str, str]:
    return {name: value} if value else {}
