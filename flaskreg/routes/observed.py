"""Requests that somebody looks at: observers are told, and nothing changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence
from functools import partial

from flaskreg.observer import Exchange
from flaskreg.observer import Observer
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import StreamedBody


_log = logging.getLogger("flaskreg")


class ObservedBody:
    """A streamed body whose end is told.

    :param body: the body; its file, if it has one, is still the server's to send.
    :param on_close: called once, when it is closed.
    """

    def __init__(self, body: StreamedBody, on_close: Callable[[], None]) -> None:
        self.length = body.length
        self.read = body.read
        self._body = body
        self._on_close: Callable[[], None] | None = on_close
        if hasattr(body, "fileno"):
            self.fileno = body.fileno
        if hasattr(body, "send_to"):
            self.send_to = body.send_to

    def close(self) -> None:
        """Close the body, and tell."""
        self._body.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()


def tell(observers: Sequence[Observer], what: str, exchange: Exchange) -> None:
    """Call a method of every observer; what one raises is logged."""
    for observer in observers:
        try:
            getattr(observer, what)(exchange)
        except Exception:  # noqa: BLE001 - whatever a plugin raises, requests go on
            _log.exception("an observer failed")


def watch(observers: Sequence[Observer], exchange: Exchange, answer: Answer) -> None:
    """Tell observers that a request is finished: now, or when its body is closed."""
    if isinstance(answer.body, bytes):
        tell(observers, "finished", exchange)
        return
    told = partial(tell, observers, "finished", exchange)
    answer.body = ObservedBody(answer.body, told)
