"""The outbox: events that wait, in one SQLite file that all processes share.

Nothing of it is in memory but what is being sent, so a million events that wait cost a
process nothing. The file is written ahead (WAL), which needs a local disk.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import NamedTuple


_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL, repository TEXT NOT NULL, id TEXT NOT NULL,
    created REAL NOT NULL, document TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS waiting_for ON waiting (endpoint, number);
CREATE TABLE IF NOT EXISTS dead (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL, repository TEXT NOT NULL, id TEXT NOT NULL,
    created REAL NOT NULL, document TEXT NOT NULL,
    attempts INTEGER NOT NULL, error TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS dead_for ON dead (endpoint, number);
CREATE TABLE IF NOT EXISTS counted (
    endpoint TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (endpoint, name)) WITHOUT ROWID;
"""

#: how long a process waits for another one's write, in seconds.
PATIENCE = 30.0

FILE = "outbox.sqlite"

_MEMBERS = "endpoint, repository, id, created, document, attempts, error"


class Entry(NamedTuple):
    """An event on its way into the outbox, for one endpoint."""

    endpoint: str
    repository: str
    id: str
    created: float
    document: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits, or that nobody waits for any more."""

    number: int
    endpoint: str
    repository: str
    id: str
    created: float
    document: dict[str, Any]
    attempts: int
    error: str


class Outbox:
    """One process's, and one thread's, way to the file.

    :param folder: made when it is not there.
    :param safe: whether what was written survives a power cut when it returns.
    """

    def __init__(self, folder: Path, *, safe: bool = False) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            folder / FILE,
            timeout=PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if safe else 'NORMAL'}")
        with self._writing():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Writing

    def put(self, entries: Iterable[Entry]) -> None:
        """Add events, all or none."""
        with self._writing():
            for entry in entries:
                self._db.execute(
                    "INSERT INTO waiting (endpoint, repository, id, created, document)"
                    " VALUES (?, ?, ?, ?, ?)",
                    entry,
                )
                self._count(entry.endpoint, "Events")

    def sent(self, event: Waiting, status: str) -> None:
        """Forget an event that an endpoint took.

        :param status: of the answer, such as ``202 Accepted``.
        """
        with self._writing():
            self._db.execute("DELETE FROM waiting WHERE number = ?", (event.number,))
            self._count(event.endpoint, "Successes")
            self._count(event.endpoint, f"status {status}")

    def failed(self, event: Waiting, error: str, status: str) -> None:
        """Note that an event was not taken; it waits on.

        :param status: of the answer; ``""`` when there was none.
        """
        with self._writing():
            self._db.execute(
                "UPDATE waiting SET attempts = attempts + 1, error = ?"
                " WHERE number = ?",
                (error[:500], event.number),
            )
            self._count(event.endpoint, "Failures" if status else "Errors")
            if status:
                self._count(event.endpoint, f"status {status}")

    def bury_old(self, max_age: float, endpoint: str, max_events: int) -> int:
        """Make dead letters of what has waited too long, and of too many.

        :param max_age: in seconds.
        :param max_events: that may wait for one endpoint, and be dead letters of it.
        :returns: how many became dead letters.
        """
        with self._writing():
            last = self._one(
                "SELECT number FROM waiting WHERE endpoint = ?"
                " ORDER BY number DESC LIMIT 1 OFFSET ?",
                (endpoint, max_events),
            )
            moved = self._bury(
                "endpoint = ? AND (created < ? OR number <= ?)",
                (endpoint, time.time() - max_age, last or 0),
            )
            oldest = self._one(
                "SELECT number FROM dead WHERE endpoint = ?"
                " ORDER BY number DESC LIMIT 1 OFFSET ?",
                (endpoint, max_events),
            )
            self._db.execute(
                "DELETE FROM dead WHERE endpoint = ? AND number <= ?",
                (endpoint, oldest or 0),
            )
        return moved

    def bury(self, event_id: str) -> int:
        """Make an event a dead letter, so that others of its repository go on."""
        with self._writing():
            return self._bury("id = ?", (event_id,))

    def replay(self, endpoint: str | None, event_id: str | None) -> int:
        """Let dead letters wait again, behind all others; return how many.

        :param endpoint: those of one; ``None`` for all.
        :param event_id: one event; ``None`` for all.
        """
        condition, values = _matching(endpoint, event_id)
        with self._writing():
            rows = self._db.execute(
                f"INSERT INTO waiting ({_MEMBERS}) SELECT endpoint, repository, id,"
                f" ?, document, 0, '' FROM dead WHERE {condition} ORDER BY number",
                (time.time(), *values),
            ).rowcount
            self._db.execute(f"DELETE FROM dead WHERE {condition}", values)
        return rows

    # Reading

    def next(self, endpoint: str, blocked: Sequence[str]) -> Waiting | None:
        """Return the first event of an endpoint.

        :param blocked: repositories whose events are left out.
        """
        holes = ",".join("?" * len(blocked))
        row = self._db.execute(
            f"SELECT number, {_MEMBERS} FROM waiting WHERE endpoint = ?"
            f" AND repository NOT IN ({holes}) ORDER BY number LIMIT 1",
            (endpoint, *blocked),
        ).fetchone()
        return _event(row) if row else None

    def iter_events(self, table: str, endpoint: str | None = None) -> Iterator[Waiting]:
        """Yield events in their order.

        :param table: ``waiting`` or ``dead``.
        :param endpoint: those of one; ``None`` for all.
        """
        assert table in ("waiting", "dead")
        condition, values = _matching(endpoint, None)
        rows = self._db.execute(
            f"SELECT number, {_MEMBERS} FROM {table} WHERE {condition} ORDER BY number",
            values,
        )
        for row in rows:
            yield _event(row)

    def pending(self, endpoint: str) -> int:
        """Return how many events wait for an endpoint."""
        return (
            self._one("SELECT count(*) FROM waiting WHERE endpoint = ?", (endpoint,))
            or 0
        )

    def counts(self, endpoint: str) -> dict[str, int]:
        """Return what was counted for an endpoint, by name."""
        rows = self._db.execute(
            "SELECT name, value FROM counted WHERE endpoint = ?", (endpoint,)
        )
        return dict(rows.fetchall())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _bury(self, condition: str, values: tuple[Any, ...]) -> int:
        moved = self._db.execute(
            f"INSERT INTO dead ({_MEMBERS}) SELECT {_MEMBERS} FROM waiting"
            f" WHERE {condition} ORDER BY number",
            values,
        ).rowcount
        if moved:
            self._db.execute(f"DELETE FROM waiting WHERE {condition}", values)
        return moved

    def _count(self, endpoint: str, name: str) -> None:
        self._db.execute(
            "INSERT INTO counted VALUES (?, ?, 1)"
            " ON CONFLICT DO UPDATE SET value = value + 1",
            (endpoint, name),
        )

    def _one(self, query: str, values: tuple[Any, ...]) -> int | None:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else int(row[0])


def _matching(endpoint: str | None, event_id: str | None) -> tuple[str, list[str]]:
    pairs = {"endpoint": endpoint, "id": event_id}
    given = {key: value for key, value in pairs.items() if value is not None}
    return " AND ".join(f"{key} = ?" for key in given) or "1", list(given.values())


def _event(row: tuple[Any, ...]) -> Waiting:
    number, endpoint, repository, event_id, created, document, attempts, error = row
    decoded = json.loads(document)
    return Waiting(
        number, endpoint, repository, event_id, created, decoded, attempts, error
    )
