"""From a connection to S3 to that of a client, past this process if that can be."""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Self

from flaskreg.sending import send_pipe
from flaskreg_s3.wire import Answer


#: what is read at once where it does not go through a pipe, in bytes.
_READ = 128 << 10


class Relay:
    """Takes pieces of answers and sends them, one after the other.

    A piece is taken whole and sent whole, so that a fault of either side is told from
    one of the other, and nothing is sent twice.

    :param sock: of the client.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = b""
        self._pipe = _make_pipe()

    def take(self, size: int, answer: Answer) -> int:
        """Take at most *size* bytes of an answer, and return how many those are.

        :raises OSError: the server is gone, or silent.
        """
        if self._pipe is not None:
            moved = answer.splice(self._pipe[1], size)
            if moved is not None:
                return moved
        self._data = answer.read(min(size, _READ))
        return len(self._data)

    def send(self, count: int) -> None:
        """Send what was taken.

        :param count: its bytes.
        :raises OSError: the client is gone, or takes nothing.
        """
        data, self._data = self._data, b""
        if data or self._pipe is None:
            self._sock.sendall(data)
        else:
            send_pipe(self._sock, self._pipe[0], count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in self._pipe or ():
            os.close(end)


def _make_pipe() -> tuple[int, int] | None:
    """Return the reading and the writing end; ``None`` without descriptors for them."""
    try:
        # Of the system's own size, 64 KiB: larger ones were slower.
        return os.pipe()
    except OSError:
        return None
