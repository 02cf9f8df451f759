"""The numbers of the outbox, by distribution's names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

from flaskreg.measurement import Measurement
from flaskreg_notifications.outbox import FILE
from flaskreg_notifications.outbox import Outbox


_TYPES = ("Events", "Successes", "Failures", "Errors")


class OutboxMeter:
    """Reads how much waits, and what was counted.

    :param folder: of the outbox.
    :param endpoints: their names.
    """

    def __init__(self, folder: Path, endpoints: Sequence[str]) -> None:
        self._folder = folder
        self._endpoints = endpoints

    def __call__(self) -> Iterator[Measurement]:
        """Yield the numbers; none when the outbox cannot be read."""
        if not (self._folder / FILE).exists():
            return
        try:
            outbox = Outbox(self._folder)
        except (sqlite3.Error, OSError):
            return
        try:
            for endpoint in self._endpoints:
                yield from _of(outbox, endpoint)
        finally:
            outbox.close()


def _of(outbox: Outbox, endpoint: str) -> Iterator[Measurement]:
    counts, labels = outbox.counts(endpoint), {"endpoint": endpoint}
    for name in _TYPES:
        yield Measurement(
            "registry_notifications_events_total",
            "counter",
            "The number of events, and what became of attempts to send them.",
            counts.get(name, 0),
            {"type": name, **labels},
        )
    for name, value in sorted(counts.items()):
        kind, _, code = name.partition(" ")
        if kind == "status":
            yield Measurement(
                "registry_notifications_status_total",
                "counter",
                "The answers of endpoints, by their status.",
                value,
                {"code": code, **labels},
            )
    # It goes up and down, which Prometheus would not have a gauge of this name do.
    yield Measurement(
        "registry_notifications_pending_total",
        "unknown",
        "The events that wait to be sent.",
        outbox.pending(endpoint),
        labels,
    )
