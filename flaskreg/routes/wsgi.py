"""An answer as a WSGI response, for both ways to an endpoint."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

from flaskreg.routes.answer import PIECE
from flaskreg.routes.answer import StreamedBody


#: what a file wrapper reads at a time where the kernel does not send the file.
BLOCK = 128 << 10


def body_of(
    environ: dict[str, Any], method: str, body: bytes | StreamedBody
) -> Iterable[bytes]:
    """Return the body as the server wants it.

    A file is handed over in the server's own wrapper and untouched: only then does it
    leave the machine without passing through Python.
    """
    if method == "HEAD":
        if not isinstance(body, bytes):
            body.close()
        return (b"",)
    if isinstance(body, bytes):
        if len(body) <= PIECE:
            return (body,)
        return (body[at : at + PIECE] for at in range(0, len(body), PIECE))
    wrapper: Callable[..., Iterable[bytes]] | None = environ.get("wsgi.file_wrapper")
    return StreamIterator(body) if wrapper is None else wrapper(body, BLOCK)


class StreamIterator:
    """Reads a body for a server without a file wrapper.

    :param body: read in pieces and closed by the server.
    """

    def __init__(self, body: StreamedBody) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = self._body.read(BLOCK)
        if not chunk:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close the body."""
        self._body.close()
