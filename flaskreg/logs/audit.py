"""The audit log: who changed what, who was refused, and on demand who pulled."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from flaskreg.logs.formatters import encoded
from flaskreg.logs.formatters import timestamp
from flaskreg.observer import Exchange
from flaskreg.observer import Observer


#: what a request does, by its endpoint and method.
ACTIONS = {
    ("manifest", "PUT"): "push",
    ("manifest", "DELETE"): "delete",
    ("blob", "DELETE"): "delete",
    ("upload", "PUT"): "push",
    ("upload", "DELETE"): "cancel",
    ("uploads", "POST"): "push",
}
PULLS = {("manifest", "GET"), ("blob", "GET")}

#: statuses that say that somebody may not.
_REFUSED = frozenset({401, 403})

#: a push that has only begun.
_ACCEPTED = 202


class AuditLog(Observer):
    """Writes one JSON line for each request that counts, whole and in one write.

    :param path: a file, opened for each line so that it may be moved away; ``-`` is
        standard output.
    :param pulls: write pulls too.
    """

    def __init__(self, path: str, *, pulls: bool = False) -> None:
        self._path = path
        self._pulls = pulls

    def started(self, exchange: Exchange) -> None:
        """Look at nothing yet."""

    def finished(self, exchange: Exchange) -> None:
        """Write what was done or refused."""
        action = self._action(exchange)
        if action is not None:
            self._write(f"{encoded(_members(exchange, action))}\n".encode())

    def _write(self, line: bytes) -> None:
        if self._path == "-":
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        file = os.open(self._path, flags, 0o640)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def _action(self, exchange: Exchange) -> str | None:
        """Return what a request did; ``None`` when that is not written."""
        key = (exchange.endpoint, exchange.method)
        if exchange.status in _REFUSED:
            return _refused_action(exchange)
        if key in PULLS:
            return "pull" if self._pulls else None
        if key == ("uploads", "POST"):
            if exchange.status == _ACCEPTED:
                return None
            if "mount=" in exchange.environ.get("QUERY_STRING", ""):
                return "mount"
        return ACTIONS.get(key)


def _refused_action(exchange: Exchange) -> str | None:
    """Return what was refused; a request without credentials asks for the challenge."""
    if exchange.status == 401 and "HTTP_AUTHORIZATION" not in exchange.environ:
        return None
    key = (exchange.endpoint, exchange.method)
    return ACTIONS.get(key, "pull" if key in PULLS else "access")


def _members(exchange: Exchange, action: str) -> dict[str, Any]:
    environ = exchange.environ
    members = {
        "time": timestamp(time.time()),
        "type": "audit",
        "id": exchange.id,
        "action": action,
        "outcome": _outcome(exchange.status),
        "status": exchange.status,
        "code": exchange.code,
        "user": exchange.principal,
        "remote": exchange.client,
        "useragent": environ.get("HTTP_USER_AGENT", ""),
        "repository": exchange.name,
        "reference": exchange.reference if exchange.endpoint != "upload" else "",
        "digest": exchange.digest,
    }
    if not exchange.principal:
        members["claimed"] = exchange.claimed_user
    return {key: value for key, value in members.items() if value != ""}


def _outcome(status: int) -> str:
    if status < 400:
        return "done"
    return "refused" if status in _REFUSED else "failed"
