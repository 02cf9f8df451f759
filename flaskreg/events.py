"""Events: what happened in a registry, told after it happened.

Source: CNCF distribution's package ``notifications``; the actions are its.
"""

from __future__ import annotations

import uuid
from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Literal

from flaskreg.descriptor import Descriptor


Action = Literal["pull", "push", "mount", "delete"]

#: actions whose event has to be kept before the client is told that they are done.
PROMISED: frozenset[Action] = frozenset({"push", "mount"})


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that an event came from."""

    id: str = ""
    #: the client's address; ``""`` where the server does not tell.
    address: str = ""
    host: str = ""
    method: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a blob, a manifest or a tag.

    A push of a manifest by several tags is one event for each of them. A delete tells
    of a digest, or of a tag alone.
    """

    action: Action
    repository: str
    #: what it happened to; ``None`` when a tag was deleted.
    target: Descriptor | None = None
    tag: str = ""
    #: where a mounted blob came from.
    source_repository: str = ""
    #: what a manifest lists.
    references: Sequence[Descriptor] = ()
    #: where the target can be pulled from; ``""`` when it was deleted.
    url: str = ""
    #: who did it; ``""`` for nobody in particular.
    actor: str = ""
    request: Origin = field(default_factory=Origin)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))


class EventSink(ABC):
    """Takes events."""

    @abstractmethod
    def accept(self, event: Event) -> None:
        """Take an event, in the thread that answers the request.

        An event of :data:`PROMISED` is kept safe before this returns; others may be
        lost when the process is killed in the next moment, and must not wait.

        :raises DriverError: it cannot be kept. A push then fails, so that the client
            repeats it; other requests go on.
        """

    def start(self) -> None:
        """Begin what this process does with events, once, after the server forked."""

    def stop(self) -> None:
        """Bring what was accepted to safety; nothing is accepted after it."""
