"""Watches a call for input and output, by the interpreter's audit events."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from typing import Any


_EVENTS = frozenset(
    {
        "os.fork",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.sendto",
        "sqlite3.connect",
        "subprocess.Popen",
    }
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_watched = threading.local()


@functools.cache
def _install() -> None:
    # An audit hook cannot be taken away again, so there is one for all calls.
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    found = getattr(_watched, "found", None)
    if found is None:
        return
    if event in _EVENTS or (event == "open" and arguments[2] & _WRITING):
        found.append(f"{event}{arguments}")


def watch(call: Callable[[], object]) -> list[str]:
    """Call *call* and return what it did to the world, one line each.

    What counts is writing, connecting, and starting threads or processes. Reading
    files does not, since an import reads them too.
    """
    _install()
    threads = set(threading.enumerate())
    found: list[str] = []
    _watched.found = found
    try:
        call()
    finally:
        del _watched.found
    started = set(threading.enumerate()) - threads
    return found + [f"started {thread.name}" for thread in started]
