"""A blob as it comes from an upstream, asked to go on where it was cut."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Generator

from flaskreg.digest import Digest
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.remote import RemoteRepository
from flaskreg_proxy.transport import Reply


_log = logging.getLogger("flaskreg")

#: bytes that are received and written at once, at most.
STEP = 256 << 10

#: how often an upstream that cuts the connection is asked to go on without having sent
#: a byte, and the waits before, in seconds.
PAUSES = (0.0, 0.2, 1.0, 3.0, 6.0)


class Receiver:
    """Receives one blob.

    :param remote: where it comes from.
    :param digest: of the blob.
    :param size: of the blob, in bytes.
    :param counters: of what was had.
    """

    def __init__(
        self, remote: RemoteRepository, digest: Digest, size: int, counters: Counters
    ) -> None:
        self._remote = remote
        self._digest = digest
        self._size = size
        self._counters = counters

    def receive(
        self,
        position: int,
        on_answer: Callable[[], None],
        begun: Callable[[], bool],
    ) -> Generator[bytes, None, None]:
        """Yield the content from *position* on, and close the connection at its end.

        :param on_answer: called when an answer comes.
        :param begun: whether a client has had something, so that it pays to be patient.
        :raises UpstreamError: it cannot be had.
        """
        failures = 0
        while position < self._size:
            before = position
            try:
                reply = self._remote.open_blob(self._digest, position, self._size)
                on_answer()
                for chunk in self._chunks(reply, self._size - position):
                    position += len(chunk)
                    yield chunk
            except UpstreamFailed as error:
                failures = 0 if position > before else failures + 1
                if failures >= (len(PAUSES) if begun() else 1):
                    raise
                _log.info("proxy: %s: %s; going on", self._digest, error)
                self._counters.resumed()
                time.sleep(PAUSES[failures])

    def _chunks(self, reply: Reply, left: int) -> Generator[bytes, None, None]:
        try:
            while left:
                chunk = reply.read(min(STEP, left))
                if not chunk:
                    raise UpstreamFailed("the connection was cut")
                left -= len(chunk)
                self._counters.blobs.pulled(len(chunk))
                yield chunk
        except BaseException:
            reply.abandon()
            raise
        reply.close()
