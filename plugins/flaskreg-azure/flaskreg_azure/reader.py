"""Reading a blob in steps; each is one request, and none is read twice."""

from __future__ import annotations

import io
from collections.abc import Iterator

from azure.core.exceptions import AzureError

from flaskreg_azure.failures import AzureFailure
from flaskreg_azure.failures import code_of


class BlobReader(io.RawIOBase):
    """Gives the bytes of some pieces.

    A blob that is replaced meanwhile ends in an error: pieces of two blobs are never
    put together.

    :param path: of the driver, for errors.
    :param pieces: the first of them is there already.
    """

    def __init__(self, path: str, pieces: Iterator[bytes]) -> None:
        self._path = path
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return ``True``."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as there is something at hand."""
        if not self._rest:
            self._rest = memoryview(self._next())
        target = memoryview(buffer)  # type: ignore[arg-type]
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except AzureError as error:
            # It is an OSError's place: whoever reads is in the middle of an answer.
            name = code_of(error) or type(error).__name__
            raise OSError(str(AzureFailure(self._path, name))) from None
