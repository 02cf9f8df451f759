"""The one reader of request bodies.

A WSGI server ends a body that was cut short as cleanly as a whole one, so the bytes
are counted here, for every endpoint that takes any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flaskreg.errors import ManifestTooLarge
from flaskreg.errors import SizeInvalid
from flaskreg.errors import TransferUnsupported


#: bytes that are read at a time: what a time-out in the middle can lose.
STEP = 256 << 10


class Body:
    """The body of one request.

    :param environ: of the request.
    :raises SizeInvalid: the length that the client states is not a length.
    :raises TransferUnsupported: the body has no stated end on this server.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self._input = environ.get("wsgi.input")
        #: bytes that the client says it sends; ``None`` when it does not say.
        self.length: int | None = None
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        stated = environ.get("CONTENT_LENGTH")
        if chunked:
            if not environ.get("wsgi.input_terminated"):
                raise TransferUnsupported("this server does not hand on such a body")
        elif stated:
            if not (stated.isascii() and stated.isdigit() and len(stated) < 20):
                raise SizeInvalid("Content-Length is not a length")
            self.length = int(stated)
        else:
            self.length = 0

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces.

        :raises SizeInvalid: it ended before the length that was stated, or broke off;
            what was yielded before has arrived.
        """
        left = self.length
        while left is None or left > 0:
            chunk = self._read(STEP if left is None else min(STEP, left))
            if not chunk:
                if left is not None:
                    raise SizeInvalid(f"the body ended {left} bytes early")
                return
            if left is not None:
                left -= len(chunk)
            yield chunk

    def read_all(self, limit: int) -> bytes:
        """Return a whole small body.

        :param limit: the most bytes that are taken.
        :raises ManifestTooLarge: there are more; no more than one piece beyond the
            limit was read.
        :raises SizeInvalid: as :meth:`chunks`.
        """
        if self.length is not None and self.length > limit:
            raise ManifestTooLarge(f"a manifest has at most {limit} bytes")
        content = bytearray()
        for chunk in self.chunks():
            content += chunk
            if len(content) > limit:
                raise ManifestTooLarge(f"a manifest has at most {limit} bytes")
        return bytes(content)

    def _read(self, size: int) -> bytes:
        if self._input is None:
            return b""
        try:
            chunk: bytes = self._input.read(size)
        except Exception as error:  # noqa: BLE001 - each server raises its own classes, and all say that the body did not arrive
            raise SizeInvalid("the body broke off") from error
        return chunk
