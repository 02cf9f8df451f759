"""A blob that goes from the upstream to one client, and is kept nowhere.

So it is when the disk has no room for it. Each client has a connection to the upstream,
which goes at its pace.
"""

from __future__ import annotations

import io
import os
from typing import Any

from flaskreg.descriptor import Descriptor
from flaskreg.digest import make_digester
from flaskreg_proxy.errors import UpstreamError
from flaskreg_proxy.growing import DownloadCut
from flaskreg_proxy.receiving import Receiver


class StraightReader(io.RawIOBase):
    """Reads a blob from its upstream.

    The last bytes are given when all of it is verified; of a part that begins later
    nobody can tell.

    :param receiver: of the blob.
    :param descriptor: of the blob, as the upstream told it.
    :param offset: where to begin, in bytes.
    :raises UpstreamError: it cannot be had.
    """

    def __init__(self, receiver: Receiver, descriptor: Descriptor, offset: int) -> None:
        self._receiver = receiver
        self._descriptor = descriptor
        self._position = offset
        self._rest = b""
        self._begin()

    def readable(self) -> bool:
        """Whether it can be read; it can."""
        return True

    def seekable(self) -> bool:
        """Whether it can be positioned; it can, for the price of a request."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return what has come, at most *size* bytes.

        :raises DownloadCut: there will be no more, or it was not what it should be.
        """
        if not self._rest and self._position < self._descriptor.size:
            try:
                self._rest = self._next()
            except UpstreamError as error:
                raise DownloadCut from error
        cut = len(self._rest) if size is None or size < 0 else size
        chunk, self._rest = self._rest[:cut], self._rest[cut:]
        self._position += len(chunk)
        return chunk

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what has come."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset from the beginning."""
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only from the beginning")
        if offset != self._position:
            self._chunks.close()
            self._position, self._rest = offset, b""
            self._begin()
        return offset

    def tell(self) -> int:
        """Return the offset."""
        return self._position

    def close(self) -> None:
        """Let go of the connection."""
        self._chunks.close()
        super().close()

    def _begin(self) -> None:
        digest = self._descriptor.digest
        self._digester = None if self._position else make_digester(digest.algorithm)
        begun = self._position
        self._chunks = self._receiver.receive(
            begun, lambda: None, lambda: self._position > begun
        )
        if self._position < self._descriptor.size:
            # An upstream that fails is to do so before anything is answered.
            self._rest = self._next()

    def _next(self) -> bytes:
        chunk = next(self._chunks)
        digester = self._digester
        if digester is not None:
            digester.update(chunk)
            ended = digester.size == self._descriptor.size
            if ended and digester.digest() != self._descriptor.digest:
                raise DownloadCut
        return chunk
