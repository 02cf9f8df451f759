"""Writers: content that grows as an append blob, under a lease.

Append blobs are how CNCF distribution keeps what is uploaded, so each of both goes on
with the other's. A lease of Azure is the lock: of all processes its holder alone
writes, and one that died loses it after a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.core.exceptions import HttpResponseError
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient
from azure.storage.blob import BlobLeaseClient

from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg_azure.failures import code_of
from flaskreg_azure.failures import translated


#: what is sent at a time, in bytes: the most that old versions of the service take.
BLOCK = 4 << 20

#: seconds after which a writer that died is out of the way; Azure's least are 15.
LEASE = 20
#: how often a writer that lives renews it, in seconds.
RENEWAL = 7.0

_LEASED = frozenset(
    {
        "LeaseAlreadyPresent",
        "LeaseIdMissing",
        "LeaseIdMismatchWithBlobOperation",
        "LeaseIdMismatchWithLeaseOperation",
    }
)
_APPEND = "AppendBlob"


class BlobWriter(FileWriter):
    """Appends to a blob on which it holds a lease.

    :param path: of the driver, for errors.
    :param blob: the client of the blob.
    :param lease: held by this writer.
    :param size: bytes that are there already.
    :param on_close: called once at the end.
    """

    def __init__(
        self,
        path: str,
        blob: BlobClient,
        lease: BlobLeaseClient,
        size: int,
        on_close: Callable[[], None],
    ) -> None:
        self.size = size
        self.lease = lease
        self._path = path
        self._blob = blob
        self._on_close: Callable[[], None] | None = on_close
        self._buffer = bytearray()
        self._sent = size
        self._renewed = time.monotonic()
        self._ended = False

    def write(self, chunk: bytes) -> None:
        """Keep a chunk, and send whole blocks."""
        self._check()
        self._buffer += chunk
        self.size += len(chunk)
        while len(self._buffer) >= BLOCK:
            self._send(BLOCK)
        self.renew()

    def flush(self) -> None:
        """Send what is kept: what Azure took survives."""
        while self._buffer:
            self._send(BLOCK)

    def commit(self) -> None:
        """Send all; the lease stays until the writer is closed."""
        self._check()
        self.flush()
        self._ended = True

    def cancel(self) -> None:
        """Delete the blob."""
        self._check()
        self._ended = True
        self._buffer.clear()
        with suppress(PathNotFound), translated(self._path):
            self._blob.delete_blob(lease=self.lease)

    def close(self) -> None:
        """Send what is kept, and let go of the lease."""
        on_close, self._on_close = self._on_close, None
        if on_close is None:
            return
        self._ended = True
        try:
            self.flush()
        finally:
            on_close()
            # It is gone with the blob, or was taken over.
            with suppress(AzureError):
                self.lease.release()

    def renew(self) -> None:
        """Renew the lease when some time has gone.

        :raises PathNotFound: the blob is gone, or somebody else's meanwhile.
        """
        if time.monotonic() - self._renewed < RENEWAL:
            return
        try:
            with translated(self._path):
                self.lease.renew()
        except HttpResponseError:
            raise PathNotFound(self._path, "taken over meanwhile") from None
        self._renewed = time.monotonic()

    def _check(self) -> None:
        if self._ended:
            raise ValueError(f"the writer of {self._path} has ended")

    def _send(self, most: int) -> None:
        """Append a block where the last one ended, and nowhere else."""
        block = bytes(memoryview(self._buffer)[:most])
        try:
            self._blob.append_block(
                block,
                length=len(block),
                appendpos_condition=self._sent,
                lease=self.lease,
            )
        except ResourceNotFoundError:
            raise PathNotFound(self._path, "deleted meanwhile") from None
        except AzureError as error:
            if not self._arrived(error, len(block)):
                with translated(self._path):
                    raise
        self._sent += len(block)
        del self._buffer[: len(block)]

    def _arrived(self, error: AzureError, length: int) -> bool:
        """Whether a block that was sent again had arrived the first time."""
        if code_of(error) != "AppendPositionConditionNotMet":
            return False
        with translated(self._path):
            found = self._blob.get_blob_properties(lease=self.lease)
        return int(found.size) == self._sent + length


def begin(path: str, blob: BlobClient) -> BlobLeaseClient:
    """Begin anew, whatever is there; return the lease.

    :raises InvalidOffset: somebody else is writing.
    """
    try:
        lease, _ = _leased(path, blob)
        with translated(path):
            blob.delete_blob(lease=lease)
    except PathNotFound:
        pass
    return _created(path, blob)


def resume(path: str, blob: BlobClient, append_at: int) -> BlobLeaseClient:
    """Go on where content ends; return the lease.

    :raises InvalidOffset: it has another size, or somebody else is writing.
    :raises PathNotFound: nothing is there, and it does not end at 0.
    """
    try:
        with translated(path):
            size = int(blob.get_blob_properties().size)
        if size != append_at:
            raise InvalidOffset(path, size)
        lease, kind = _leased(path, blob)
    except PathNotFound:
        if append_at != 0:
            raise
        return _created(path, blob)
    try:
        with translated(path):
            size = int(blob.get_blob_properties(lease=lease).size)
            if size != append_at:
                raise InvalidOffset(path, size)
            if kind != _APPEND:
                _convert(blob, lease, size)
                return _created(path, blob) if not size else _again(path, blob)
    except BaseException:
        with suppress(AzureError):
            lease.release()
        raise
    return lease


def _convert(blob: BlobClient, lease: BlobLeaseClient, size: int) -> None:
    """Make an append blob of another kind, block by block.

    Content that was put as a whole is small.
    """
    content = blob.download_blob(lease=lease).readall() if size else b""
    blob.delete_blob(lease=lease)
    if content:
        blob.create_append_blob(match_condition=MatchConditions.IfMissing)
        for at in range(0, len(content), BLOCK):
            blob.append_block(content[at : at + BLOCK], appendpos_condition=at)


def _again(path: str, blob: BlobClient) -> BlobLeaseClient:
    return _leased(path, blob)[0]


def _created(path: str, blob: BlobClient) -> BlobLeaseClient:
    """Make an empty append blob, unless somebody else just does."""
    try:
        with translated(path):
            try:
                blob.create_append_blob(match_condition=MatchConditions.IfMissing)
            except HttpResponseError as error:
                if code_of(error) in {"BlobAlreadyExists", "ConditionNotMet", *_LEASED}:
                    raise InvalidOffset(path) from None
                raise
        return _leased(path, blob)[0]
    except PathNotFound:
        raise InvalidOffset(path) from None


def _leased(path: str, blob: BlobClient) -> tuple[BlobLeaseClient, str]:
    """Take the lease of a blob; return it and the kind of the blob.

    :raises InvalidOffset: somebody else has it.
    :raises PathNotFound: there is no blob.
    """
    with translated(path):
        try:
            lease = blob.acquire_lease(LEASE)
        except HttpResponseError as error:
            if code_of(error) in _LEASED:
                raise InvalidOffset(path) from None
            raise
        found = blob.get_blob_properties(lease=lease)
    return lease, str(getattr(found.blob_type, "value", found.blob_type))
