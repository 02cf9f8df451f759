"""Bodies that are read from a file while they are sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import BinaryIO

from flaskreg.routes.conditional import Span


class FileBody:
    """A part of a file; a server that can sends it from the kernel.

    :param reader: positioned where the part begins. Its ``fileno`` or its ``send_to``,
        as :meth:`flaskreg.driver.StorageDriver.reader` describes it, is the server's.
    :param length: of the part, in bytes.
    :param on_close: called once when the body is closed.
    """

    def __init__(
        self, reader: BinaryIO, length: int, on_close: Callable[[], None] | None = None
    ) -> None:
        self.length = length
        self._reader = reader
        self._left = length
        self._on_close = on_close
        if hasattr(reader, "fileno"):
            self.fileno = reader.fileno
        if hasattr(reader, "send_to"):
            self.send_to = reader.send_to

    def read(self, size: int = -1) -> bytes:
        """Return further bytes of the part."""
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = self._reader.read(wanted) if wanted else b""
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()


class MultipartBody:
    """Several parts of a file, as ``multipart/byteranges``.

    :param reader: of the file.
    :param spans: the parts.
    :param size: of the file, in bytes.
    :param media_type: of each part.
    :param on_close: called once when the body is closed.
    """

    def __init__(
        self,
        reader: BinaryIO,
        spans: Sequence[Span],
        size: int,
        media_type: str,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.boundary = secrets.token_hex(16)
        self._reader = reader
        self._spans = spans
        self._on_close = on_close
        self._heads = [
            f"\r\n--{self.boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: {span.content_range(size)}\r\n\r\n".encode("ascii")
            for span in spans
        ]
        self._tail = f"\r\n--{self.boundary}--\r\n".encode("ascii")
        self.length = (
            sum(map(len, self._heads))
            + sum(span.length for span in spans)
            + len(self._tail)
        )
        self._pieces = self._iter_pieces()
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return further bytes."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        cut = len(self._rest) if size < 0 else size
        chunk, self._rest = self._rest[:cut], self._rest[cut:]
        return chunk

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def _iter_pieces(self) -> Iterator[bytes]:
        for head, span in zip(self._heads, self._spans, strict=True):
            yield head
            self._reader.seek(span.start)
            left = span.length
            while left and (chunk := self._reader.read(min(left, 64 << 10))):
                left -= len(chunk)
                yield chunk
        yield self._tail
