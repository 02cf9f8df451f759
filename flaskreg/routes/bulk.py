"""A bound on bulk transfers, so that they never take the last threads.

One transfer takes one thread for as long as its client wants. Requests that are
answered at once, such as ``/v2/``, HEAD and small manifests, are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from flaskreg.errors import Unavailable


#: a body of at most this many bytes is not a bulk transfer: it fits the buffers of a
#: connection.
SMALL = 64 << 10


class BulkLimit:
    """Counts bulk transfers.

    :param most: transfers at once in this process.
    """

    def __init__(self, most: int) -> None:
        self._free = BoundedSemaphore(most)

    def enter(self) -> None:
        """Count one transfer.

        :raises Unavailable: there are as many as there may be; it tells when to come
            back.
        """
        if not self._free.acquire(blocking=False):
            raise Unavailable(
                "too many transfers at once", headers={"Retry-After": "1"}
            )

    def leave(self) -> None:
        """Count one transfer less."""
        self._free.release()

    @contextmanager
    def receiving(self, length: int | None) -> Iterator[None]:
        """Count a body as a transfer while it is received, unless it is small.

        :param length: in bytes; ``None`` when the client does not say.
        """
        if length is not None and length <= SMALL:
            yield
            return
        self.enter()
        try:
            yield
        finally:
            self.leave()
