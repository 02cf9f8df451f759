"""The one reader of request bodies.

A WSGI server ends a body that was cut short as cleanly as a whole one, so the bytes
are counted here, for every endpoint that takes any.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from flaskreg.errors import ManifestTooLarge
from flaskreg.errors import SizeInvalid
from flaskreg.errors import TransferUnsupported


#: the most bytes that are read at a time.
STEP = 512 << 10


class Body:
    """The body of one request.

    :param environ: of the request.
    :raises SizeInvalid: the length that the client states is not a length.
    :raises TransferUnsupported: the body has no stated end on this server.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        source = environ.get("wsgi.input")
        #: hands on what has arrived where the server can, and else reads all.
        self._read_some: Callable[[int], bytes] = getattr(
            source, "read1", getattr(source, "read", _nothing)
        )
        #: bytes that the client says it sends; ``None`` when it does not say.
        self.length: int | None = None
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        stated = environ.get("CONTENT_LENGTH")
        terminated = environ.get("wsgi.input_terminated")
        if chunked:
            if not terminated:
                raise TransferUnsupported("this server does not hand on such a body")
        elif stated:
            if not (stated.isascii() and stated.isdigit() and len(stated) < 20):
                raise SizeInvalid("Content-Length is not a length")
            self.length = int(stated)
        elif terminated and environ.get("SERVER_PROTOCOL", "").startswith("HTTP/2"):
            # The end of its stream is the end of a body, whose length need not be told.
            self.length = None
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
        try:
            return self._read_some(size)
        except Exception as error:  # noqa: BLE001 - each server raises its own classes, and all say that the body did not arrive
            raise SizeInvalid("the body broke off") from error


def _nothing(size: int) -> bytes:
    """Read from a request that has no body at all."""
    del size
    return b""
