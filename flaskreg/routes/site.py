"""What all endpoints share: the services and the limits, made once."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

from flaskreg.access import AccessController
from flaskreg.events import EventSink
from flaskreg.observer import Observer
from flaskreg.routes.bulk import BulkLimit
from flaskreg.routes.statetoken import StateSigner
from flaskreg.routes.urls import Urls
from flaskreg.services import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One registry as it is served over HTTP."""

    registry: Registry
    controller: AccessController
    urls: Urls
    signer: StateSigner
    #: whether an upload session is stored as soon as its client is told of it, for
    #: another registry that goes on with it.
    stores_sessions: bool
    bulk: BulkLimit
    #: where the API begins, with a slash at both ends.
    prefix: str
    #: headers of every answer.
    headers: Sequence[tuple[str, str]]
    #: tells whether methods that write are switched off now.
    read_only: Callable[[], bool]
    #: the most bytes of a manifest.
    manifest_bytes: int
    #: the most entries of a page of the catalog, of tags, and of referrers.
    catalog_entries: int
    tag_entries: int
    referrer_entries: int
    #: told to those who push in chunks, in bytes; ``None`` tells nothing.
    chunk_min_length: int | None
    #: repositories that are looked at for a mount without ``from``.
    mount_search: int
    #: the longest time without a byte moving, in seconds; 0 for ever.
    idle_timeout: float
    #: who looks at each request.
    observers: Sequence[Observer] = ()
    #: who is told what happened.
    sinks: Sequence[EventSink] = ()
