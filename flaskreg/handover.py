"""Content that somebody else sends: where a driver lets a client have it.

A driver that keeps content where clients can read it themselves answers a
:class:`ContentRequest` with a :class:`Handover`. Storage middleware changes that
answer: to a content delivery network, or to a file that the server before us sends.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContentRequest:
    """Who wants content, as far as it matters for where to get it."""

    #: ``GET`` or ``HEAD``.
    method: str
    #: the address of the client, as trusted proxies tell it; ``""``: not known.
    client: str = ""
    #: the address at the other end of the connection; ``""``: a unix socket.
    peer: str = ""
    #: whether the client may be sent elsewhere (``storage.redirect.disable``).
    redirects: bool = True


@dataclass(frozen=True, slots=True)
class Handover:
    """Where the content is to be had; exactly one of both is there."""

    #: the client is sent there (307).
    url: str = ""
    #: the server before us sends the content itself when it sees these headers.
    headers: tuple[tuple[str, str], ...] = ()
