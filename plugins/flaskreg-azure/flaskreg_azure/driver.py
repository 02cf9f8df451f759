"""The driver: distribution's layout in a container, a blob for each path."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any
from typing import BinaryIO
from typing import cast

from azure.core.exceptions import HttpResponseError
from azure.core.exceptions import ResourceExistsError
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient
from azure.storage.blob import BlobLeaseClient
from azure.storage.blob import BlobPrefix

from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import check_path
from flaskreg_azure.account import Account
from flaskreg_azure.failures import AzureFailure
from flaskreg_azure.failures import code_of
from flaskreg_azure.failures import translated
from flaskreg_azure.parameters import Parameters
from flaskreg_azure.reader import BlobReader
from flaskreg_azure.writer import BlobWriter
from flaskreg_azure.writer import begin
from flaskreg_azure.writer import resume


#: the longest wait between two looks at a copy, and for one copy, in seconds.
_LONGEST_LOOK = 5.0
_LONGEST_COPY = 3600.0

#: how long to wait for another writer, in seconds: the request of a client whose
#: connection broke ends a moment after the client comes back.
PATIENCE = 1.0
_STEP = 0.1

_BUFFER = 1 << 20


class AzureDriver(StorageDriver):
    """Keeps content in a container.

    :param account: gives the client, and signs URLs.
    :param parameters: how content is kept.
    """

    name = "azure"

    def __init__(self, account: Account, parameters: Parameters) -> None:
        self._account = account
        self._parameters = parameters
        self._root = parameters.rootdirectory.rstrip("/")
        self._lock = threading.Lock()
        #: writers of this process by their path: a move takes what one of them holds.
        self._writers: dict[str, BlobWriter] = {}

    def get_content(self, path: str) -> bytes:
        """Return all of a blob."""
        blob = self._blob(path)
        with translated(path):
            return bytes(blob.download_blob().readall())

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Put a block blob, which is durable in any case."""
        del durable
        self._put(path, content, overwrite=True)

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Do one after the other; Azure lets one of those who make a blob do so."""
        for source, destination in moves:
            self.move(source, destination)
        for path, content in contents:
            self._put(path, content, overwrite=path not in exclusive)

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open a blob; its first piece is there when this returns."""
        if offset < 0:
            raise InvalidOffset(path)
        blob = self._blob(path)
        try:
            with translated(path):
                stream = blob.download_blob(offset=offset or None)
                pieces = iter(stream.chunks())
                first = next(pieces, b"")
        except AzureFailure as error:
            if error.detail != "InvalidRange":
                raise
            return io.BytesIO()
        raw = BlobReader(path, chain([first] if first else [], pieces))
        return io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER)

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Take the lease of a blob, and wait a moment for somebody else's."""
        blob = self._blob(path)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                lease = (
                    begin(path, blob)
                    if append_at is None
                    else resume(path, blob, append_at)
                )
            except InvalidOffset as error:
                if error.size is not None or time.monotonic() > deadline:
                    raise
                time.sleep(_STEP)
                continue
            break
        writer = BlobWriter(path, blob, lease, append_at or 0, lambda: self._left(path))
        with self._lock:
            self._writers[path] = writer
        return writer

    def stat(self, path: str) -> FileInfo:
        """Return what is at *path*: a blob, or the beginning of the names of some."""
        if path == "/":
            self._is_there("")
            return FileInfo(path, 0, is_dir=True)
        blob = self._blob(path)
        try:
            with translated(path):
                found = blob.get_blob_properties()
        except PathNotFound:
            if not self._is_there(f"{self._key(path)}/"):
                raise
            return FileInfo(path, 0, is_dir=True)
        return _info(path, found)

    def list(self, path: str) -> list[str]:
        """Return the names of the direct children of a directory."""
        return [info.path.rpartition("/")[2] for info in self._children(path)]

    def walk(self, path: str) -> Iterator[FileInfo]:
        """Yield all below *path*, with one listing for each directory."""
        for info in sorted(self._children(path), key=lambda each: each.path):
            yield info
            if info.is_dir:
                with suppress(PathNotFound):
                    yield from self.walk(info.path)

    def move(self, source: str, destination: str) -> None:
        """Copy within the service, and delete the source."""
        from_blob, to_blob = self._blob(source), self._blob(destination)
        if source == destination:
            with translated(source):
                from_blob.get_blob_properties()
            return
        self._copy(source, to_blob)
        with suppress(PathNotFound):
            self._delete(source, from_blob)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete a blob, and all blobs below it."""
        del durable
        blob = self._blob(path)
        found = True
        try:
            self._delete(path, blob)
        except PathNotFound:
            found = False
        with translated(path):
            names = list(self._names(f"{self._key(path)}/"))
        for name in names:
            with suppress(PathNotFound):
                self._delete(path, self._account.container.get_blob_client(name))
        if not found and not names:
            raise PathNotFound(path)

    def redirect(self, path: str, method: str) -> str | None:
        """Return a URL that is signed for reading; it serves both methods."""
        del method
        key = self._key(check_path(path))
        with translated(path):
            return self._account.sign(key)

    def object_key(self, path: str) -> str | None:
        """Return the name of the blob."""
        return self._key(path)

    def close(self) -> None:
        """Close the connections."""
        self._account.close()

    def _key(self, path: str) -> str:
        return f"{self._root}{path}".lstrip("/")

    def _blob(self, path: str) -> BlobClient:
        return self._account.container.get_blob_client(self._key(check_path(path)))

    def _put(self, path: str, content: bytes, *, overwrite: bool) -> None:
        blob = self._blob(path)
        with translated(path):
            try:
                blob.upload_blob(content, overwrite=overwrite)
            except ResourceExistsError as error:
                if not overwrite:
                    raise PathExists(path) from None
                if code_of(error) != "InvalidBlobType":
                    raise
                # What was an upload is no longer one: its kind cannot be changed.
                with suppress(ResourceNotFoundError):
                    blob.delete_blob()
                blob.upload_blob(content, overwrite=True)

    def _copy(self, source: str, to_blob: BlobClient) -> None:
        url = self._account.sign(self._key(source))
        with translated(source):
            try:
                started = to_blob.start_copy_from_url(url)
            except HttpResponseError as error:
                if code_of(error) == "CannotVerifyCopySource":
                    raise PathNotFound(source) from None
                if code_of(error) != "InvalidBlobType":
                    raise
                # Content of another kind is in the way; it is equal, or to be replaced.
                to_blob.delete_blob()
                started = to_blob.start_copy_from_url(url)
            self._await(source, to_blob, started)

    def _await(self, source: str, to_blob: BlobClient, copy: dict[str, Any]) -> None:
        """Wait until a copy is done; the lease of the source is kept meanwhile."""
        status, wait = copy["copy_status"], self._parameters.retry_delay
        deadline = time.monotonic() + _LONGEST_COPY
        while status == "pending":
            if self._parameters.max_retries < 0 or time.monotonic() > deadline:
                to_blob.abort_copy(copy["copy_id"])
                raise AzureFailure(source, "the copy was not done in time")
            time.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_LOOK)
            writer = self._writers.get(source)
            if writer is not None:
                writer.renew()
            status = to_blob.get_blob_properties().copy.status
        if status != "success":
            raise AzureFailure(source, f"the copy ended with {status}")

    def _delete(self, path: str, blob: BlobClient) -> None:
        """Delete a blob, whoever writes it."""
        writer = self._writers.get(path)
        lease: Any = None if writer is None else writer.lease
        with translated(path):
            try:
                blob.delete_blob(lease=lease)
            except HttpResponseError as error:
                if not code_of(error).startswith("Lease"):
                    raise
                with suppress(HttpResponseError):
                    BlobLeaseClient(blob).break_lease(0)
                blob.delete_blob()

    def _left(self, path: str) -> None:
        with self._lock:
            self._writers.pop(path, None)

    def _is_there(self, prefix: str) -> bool:
        """Whether any name begins with *prefix*; it also tells a container apart."""
        with translated("/"):
            return next(self._names(prefix, 1), None) is not None

    def _names(self, prefix: str, page: int = 5000) -> Iterator[str]:
        return iter(
            self._account.container.list_blob_names(
                name_starts_with=prefix, results_per_page=page
            )
        )

    def _children(self, path: str) -> Sequence[FileInfo]:
        base = "" if path == "/" else check_path(path)
        key = self._key(f"{base}/")
        found: dict[str, FileInfo] = {}
        with translated(path):
            for item in self._account.container.walk_blobs(
                name_starts_with=key, delimiter="/"
            ):
                name = item.name[len(key) :].rstrip("/")
                if not name:
                    continue
                child = f"{base}/{name}"
                if not isinstance(item, BlobPrefix):
                    found[name] = _info(child, item)
                else:
                    found.setdefault(name, FileInfo(child, 0, is_dir=True))
        if not found and path != "/":
            raise PathNotFound(path)
        return list(found.values())


def _info(path: str, found: Any) -> FileInfo:
    return FileInfo(path, int(found.size), is_dir=False, modified=found.last_modified)
