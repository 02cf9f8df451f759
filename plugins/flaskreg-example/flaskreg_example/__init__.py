"""The storage driver ``example``: a whole registry in one SQLite file.

SQLite's transactions make a put all or nothing, and its lock makes the file safe for
many processes of one machine. A file is read into memory whole, so the driver is for
small registries, and for being read by whoever writes a better one.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import closing
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from typing import BinaryIO

from flaskreg import hookimpl
from flaskreg.config import ConfigError
from flaskreg.driver import DriverFactory
from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import StorageFull
from flaskreg.driver import check_path
from flaskreg.servicewrappers import RegistryMiddleware
from flaskreg.servicewrappers import RepositoryMiddleware
from flaskreg_example.middleware import make_naming
from flaskreg_example.middleware import make_tagging


#: a writer that was silent for so many seconds belonged to a process that died.
LEASE = 300

SCHEMA = """
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY, path TEXT UNIQUE, committed INTEGER, writer TEXT, seen REAL
);
CREATE TABLE IF NOT EXISTS chunk (
    file INTEGER REFERENCES file ON DELETE CASCADE, data BLOB
);
CREATE INDEX IF NOT EXISTS chunk_file ON chunk (file);
"""
SIZE = "SELECT coalesce(sum(length(data)), 0) FROM chunk WHERE file = file.id"
DATA = "SELECT data FROM file LEFT JOIN chunk ON file = id WHERE path = ? AND committed"


class ExampleDriver(StorageDriver):
    """Keeps files as rows, and their content as chunks.

    :param file: the name of the SQLite file; made when something is first used.
    :param timeout: how many seconds to wait for other processes.
    """

    name = "example"
    renames = True

    def __init__(self, file: str, timeout: float) -> None:
        self.file = file
        self.timeout = timeout

    @contextmanager
    def connect(self, path: str) -> Iterator[sqlite3.Connection]:
        """Open the file; what is done after a ``BEGIN`` is done whole or not at all."""
        connection = sqlite3.connect(self.file, self.timeout, isolation_level=None)
        try:
            with closing(connection), connection:
                connection.executescript(SCHEMA)
                yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise StorageFull(path) from error
            raise

    def run(self, path: str, query: str, *values: object) -> list[Any]:
        """Run one statement and return its rows."""
        with self.connect(path) as connection:
            return connection.execute(query, values).fetchall()

    def get_content(self, path: str) -> bytes:
        """Join the chunks of a committed file."""
        check_path(path)
        found = self.run(path, f"{DATA} ORDER BY chunk.rowid", path)
        if not found:
            raise PathNotFound(path)
        return b"".join(data for (data,) in found if data)

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Replace a file in one transaction, which is durable in any case."""
        del durable
        self.put("REPLACE", path, content)

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Do one after the other; at an exclusive path a second row is refused."""
        for source, destination in moves:
            self.move(source, destination)
        for path, content in contents:
            try:
                self.put("INSERT" if path in exclusive else "REPLACE", path, content)
            except sqlite3.IntegrityError:
                raise PathExists(path) from None

    def put(self, verb: str, path: str, content: bytes) -> None:
        """Write a file and its only chunk."""
        check_path(path)
        with self.connect(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            query = f"{verb} INTO file (path, committed) VALUES (?, 1)"
            row = connection.execute(query, (path,)).lastrowid
            connection.execute("INSERT INTO chunk VALUES (?, ?)", (row, content))

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Read all of a file, and give it from *offset*."""
        if offset < 0:
            raise InvalidOffset(path)
        stream = BytesIO(self.get_content(path))
        stream.seek(offset)
        return stream

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Take the path for a writer of its own, unless another one has it."""
        check_path(path)
        token, now = uuid.uuid4().hex, time.time()
        with self.connect(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            query = f"SELECT ({SIZE}), coalesce(seen, 0) FROM file WHERE path = ?"
            found = connection.execute(query, (path,)).fetchone()
            size, seen = found or (0, 0)
            if found is None and append_at is not None and append_at > 0:
                raise PathNotFound(path)
            if seen > now - LEASE or append_at not in (None, size):
                raise InvalidOffset(path, size)
            if append_at is None:
                connection.execute("DELETE FROM file WHERE path = ?", (path,))
                size = 0
            connection.execute("INSERT OR IGNORE INTO file (path) VALUES (?)", (path,))
            query = "UPDATE file SET committed = 0, writer = ?, seen = ? WHERE path = ?"
            connection.execute(query, (token, now, path))
        return ExampleWriter(self, path, token, size)

    def stat(self, path: str) -> FileInfo:
        """Add up the chunks of a file, or find a directory."""
        found = self.run(path, f"SELECT ({SIZE}) FROM file WHERE path = ?", path)
        if found:
            return FileInfo(path, found[0][0], is_dir=False)
        self.list(path)
        return FileInfo(path, 0, is_dir=True)

    def list(self, path: str) -> list[str]:
        """Cut the names out of all paths below a directory."""
        if path != "/":
            check_path(path)
        start, end = below(path)
        query = "SELECT path FROM file WHERE path > ? AND path < ?"
        found = self.run(path, query, start, end)
        if not found and path != "/":
            raise PathNotFound(path)
        return list({name[len(start) :].partition("/")[0] for (name,) in found})

    def move(self, source: str, destination: str) -> None:
        """Give the row of a committed file another path; its content stays."""
        check_path(source)
        check_path(destination)
        query = "UPDATE OR REPLACE file SET path = ? WHERE path = ? AND committed"
        if not self.run(source, f"{query} RETURNING id", destination, source):
            raise PathNotFound(source)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete the row of a file, or those of all files below a directory."""
        del durable
        check_path(path)
        query = "DELETE FROM file WHERE path = ? OR path > ? AND path < ? RETURNING id"
        if not self.run(path, query, path, *below(path)):
            raise PathNotFound(path)


def below(path: str) -> tuple[str, str]:
    """Return the two texts between which all paths below a directory sort."""
    start = path.rstrip("/")
    # "0" is what follows "/", so that "/a-b" and "/a0" are not below "/a".
    return f"{start}/", f"{start}0"


class ExampleWriter(FileWriter):
    """Adds chunks to the file that its token is written on."""

    def __init__(self, driver: ExampleDriver, path: str, token: str, size: int) -> None:
        self.size = size
        self._driver = driver
        self._path = path
        self._token = token
        self._ended = False

    def write(self, chunk: bytes) -> None:
        """Add a chunk."""
        self._run("UPDATE file SET seen = ?", time.time())
        self._driver.run(
            self._path,
            "INSERT INTO chunk SELECT id, ? FROM file WHERE writer = ?",
            chunk,
            self._token,
        )
        self.size += len(chunk)

    def flush(self) -> None:
        """Do nothing: every write is on the disk when it returns."""

    def commit(self) -> None:
        """Mark the file as committed."""
        self._run("UPDATE file SET committed = 1")
        self._ended = True

    def cancel(self) -> None:
        """Delete the file."""
        self._run("DELETE FROM file")
        self._ended = True

    def close(self) -> None:
        """Take the token off the file."""
        query = "UPDATE file SET writer = NULL, seen = NULL WHERE writer = ?"
        self._driver.run(self._path, query, self._token)
        self._ended = True

    def _run(self, query: str, *values: object) -> None:
        """Run a statement on the file, if it is still this writer's."""
        if self._ended:
            raise ValueError(f"the writer of {self._path} has ended")
        query = f"{query} WHERE writer = ? RETURNING id"
        if not self._driver.run(self._path, query, *values, self._token):
            raise PathNotFound(self._path, "deleted or taken over meanwhile")


def make_example(parameters: Mapping[str, Any]) -> StorageDriver:
    """Make the driver from its section of the configuration.

    :raises ConfigError: a parameter is unknown, missing or wrong.
    """
    for key in parameters.keys() - {"file", "timeout"}:
        raise ConfigError.unknown(
            f"storage.example.{key}",
            ["storage.example.file", "storage.example.timeout"],
        )
    file, timeout = parameters.get("file"), parameters.get("timeout", 30)
    if not isinstance(file, str) or not file:
        raise ConfigError.wrong("storage.example.file", file, "must name a file")
    if not isinstance(timeout, int | float) or timeout <= 0:
        raise ConfigError.wrong("storage.example.timeout", timeout, "must be seconds")
    return ExampleDriver(file, float(timeout))


@hookimpl
def flaskreg_register_drivers() -> Mapping[str, DriverFactory]:
    """Offer the driver under its name."""
    return {"example": make_example}


@hookimpl
def flaskreg_register_registry_middleware() -> Mapping[str, RegistryMiddleware]:
    """Offer ``naming``, of the other module."""
    return {"naming": make_naming}


@hookimpl
def flaskreg_register_repository_middleware() -> Mapping[str, RepositoryMiddleware]:
    """Offer ``tagging``, of the other module."""
    return {"tagging": make_tagging}
