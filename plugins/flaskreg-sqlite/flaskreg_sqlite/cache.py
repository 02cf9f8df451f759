"""The cache: rows of descriptors, the newest of which are kept."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flaskreg.breaker import Breaker
from flaskreg.cache import DescriptorCache
from flaskreg.cache import check_descriptor
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import DigestInvalid


#: the version of the schema; a file of another one is emptied first.
VERSION = 1

_SCHEMA = f"""
DROP TABLE IF EXISTS descriptor;
CREATE TABLE descriptor (
    number INTEGER PRIMARY KEY,
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    target TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    UNIQUE (digest, repository)
);
PRAGMA user_version = {VERSION};
"""
_STAT = (
    "SELECT media_type, target, size FROM descriptor"
    " WHERE digest = ? AND repository = ?"
)
# A row that is set again gets a new number, and so is the newest.
_SET = (
    "INSERT OR {verb} INTO descriptor (repository, digest, target, media_type, size)"
    " VALUES (?, ?, ?, ?, ?)"
)
_BOUND = (
    "DELETE FROM descriptor WHERE number <= (SELECT max(number) FROM descriptor) - ?"
)
_CLEAR = "DELETE FROM descriptor WHERE digest = ?"


class SqliteCache(DescriptorCache):
    """Remembers descriptors in a SQLite file of the local disk.

    Reads never wait for writes (WAL). A file that is locked for too long, damaged or
    not to be opened is done without, and left alone for a while.

    :param file: its name; it is made when something is first used.
    :param timeout: seconds to wait for another process that writes.
    :param size: how many descriptors are kept, the newest; there is no limit for 0 or
        less. One of the registry and one of a repository count as two.
    """

    shared = True

    def __init__(self, file: str, timeout: float, size: int) -> None:
        self.file = file
        self.size = size
        self._timeout = timeout
        self._breaker = Breaker(f"the cache in {file}")
        #: one connection for each thread, made anew in a process that was forked.
        self._local = threading.local()
        # SQLite polls for its lock; threads of one process are told by this one.
        self._writing = threading.Lock()
        self._opened: list[sqlite3.Connection] = []

    def stat(self, digest: Digest, repository: str | None = None) -> Descriptor | None:
        """Return what is remembered."""

        def read(connection: sqlite3.Connection) -> Any:
            return connection.execute(_STAT, (digest, repository or "")).fetchone()

        return _descriptor(self._use(read))

    def set(
        self, digest: Digest, descriptor: Descriptor, repository: str | None = None
    ) -> None:
        """Remember *descriptor*, and forget the oldest."""
        check_descriptor(descriptor)
        rest = (digest, descriptor.digest, descriptor.media_type, descriptor.size)

        def write(connection: sqlite3.Connection) -> None:
            if repository:
                connection.execute(_SET.format(verb="IGNORE"), ("", *rest))
            row = (repository or "", *rest)
            connection.execute(_SET.format(verb="REPLACE"), row)
            if self.size > 0:
                connection.execute(_BOUND, (self.size,))

        self._write(write)

    def clear(self, digest: Digest, repository: str | None = None) -> None:
        """Forget a repository's descriptor and the registry's, or all of them."""

        def write(connection: sqlite3.Connection) -> None:
            if repository:
                query = f"{_CLEAR} AND repository IN ('', ?)"
                connection.execute(query, (digest, repository))
            else:
                connection.execute(_CLEAR, (digest,))

        self._write(write)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._writing:
            opened, self._opened = self._opened, []
            self._local = threading.local()
        for connection in opened:
            with suppress(sqlite3.Error):
                connection.close()

    def _write(self, call: Callable[[sqlite3.Connection], None]) -> None:
        """Run what writes as one transaction."""

        def write(connection: sqlite3.Connection) -> None:
            with self._writing, connection:
                connection.execute("BEGIN IMMEDIATE")
                call(connection)

        self._use(write)

    def _use(self, call: Callable[[sqlite3.Connection], Any]) -> Any:
        """Call with a connection; return ``None`` for a file that does not answer."""
        if not self._breaker.allows():
            return None
        try:
            found = call(self._connection())
        except sqlite3.Error as error:
            self._breaker.failed(error)
            return None
        self._breaker.succeeded()
        return found

    def _connection(self) -> sqlite3.Connection:
        """Return the connection of this thread; none is used across a fork."""
        pid, connection = getattr(self._local, "found", (0, None))
        if connection is None or pid != os.getpid():
            connection = self._open()
            self._local.found = (os.getpid(), connection)
            with self._writing:
                self._opened.append(connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.file, self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            # What is lost in a power cut is remembered again; a cache has no use for
            # a flush with each write.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if _version(connection) != VERSION:
                self._make_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_schema(self, connection: sqlite3.Connection) -> None:
        """Make the table, unless another process does at the same time."""
        with self._writing, connection:
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) != VERSION:
                for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                    connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _descriptor(row: Any) -> Descriptor | None:
    """Return the descriptor in a row; ``None`` without one, or for a damaged one."""
    if row is None:
        return None
    media_type, target, size = row
    if not isinstance(size, int) or size < 0 or not media_type:
        return None
    try:
        return Descriptor(media_type, parse_digest(target), size)
    except (DigestInvalid, TypeError):
        return None
