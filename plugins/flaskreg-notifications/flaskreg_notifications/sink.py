"""What the registry hands events to: filters them, keeps them, has them sent."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Sequence
from pathlib import Path

from flaskreg.events import PROMISED
from flaskreg.events import Event
from flaskreg.events import EventSink
from flaskreg.lead import Lead
from flaskreg_notifications.endpoints import Endpoint
from flaskreg_notifications.envelope import event_document
from flaskreg_notifications.outbox import Entry
from flaskreg_notifications.sender import Sender
from flaskreg_notifications.writer import OutboxWriter


#: how long the end of a process waits for an attempt that is made, in seconds.
LAST = 5.0


class NotificationSink(EventSink):
    """Keeps events in the outbox; one process of the server sends them.

    :param folder: of the outbox.
    :param endpoints: who is told.
    :param include_references: tell what a manifest lists.
    :param address: where the registry listens, for the source of events.
    :param max_age: of an event that waits, in seconds.
    :param max_events: that wait for one endpoint.
    """

    def __init__(
        self,
        folder: Path,
        endpoints: Sequence[Endpoint],
        *,
        include_references: bool,
        address: str,
        max_age: float,
        max_events: int,
    ) -> None:
        self._folder = folder
        self._endpoints = endpoints
        self._references = include_references
        self._source = {
            "addr": f"{socket.gethostname()}:{address.rpartition(':')[2]}",
            "instanceID": str(uuid.uuid4()),
        }
        self._writer = OutboxWriter(folder)
        self._senders = [
            Sender(folder, endpoint, max_age, max_events) for endpoint in endpoints
        ]
        self._lead: Lead | None = None

    def accept(self, event: Event) -> None:
        """Keep an event for each endpoint that wants it."""
        names = [each.name for each in self._endpoints if each.wants(event)]
        if names:
            document = event_document(event, self._source, references=self._references)
            text = json.dumps(document, separators=(",", ":"))
            created = event.timestamp.timestamp()
            entries = [
                Entry(name, event.repository, event.id, created, text) for name in names
            ]
            promised = event.action in PROMISED or event.action == "delete"
            self._writer.put(entries, promised=promised)

    def start(self) -> None:
        """Begin to send, as soon as no other process does."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lead = Lead(self._folder / "lead", self._send)
        self._lead.start()

    def stop(self) -> None:
        """Write what was accepted, and let another process send."""
        self._writer.stop()
        for sender in self._senders:
            sender.stop()
        if self._lead is not None:
            self._lead.stop()

    def _send(self) -> None:
        for sender in self._senders:
            sender.start()
