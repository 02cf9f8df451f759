"""Of all processes, one writes at a path: a small object beside the content says who.

S3 has no locks. A conditional write makes the object where there is none; its holder
renews it while bytes come, and of one that was not renewed for a while its holder is
thought to be dead. Who takes such a lock over has to see to it that the dead one, if it
is not dead, does no harm: :attr:`WriterLock.stolen` says so.
"""

from __future__ import annotations

import time
import uuid
from email.utils import parsedate_to_datetime

from flaskreg_s3.bucket import Bucket
from flaskreg_s3.failures import S3Error


#: what follows the key of the content; no path of a driver has this letter.
SUFFIX = "~writer"

#: a lock that was not renewed for so many seconds can be taken over.
LEASE = 20.0
#: how often a holder renews it, in seconds.
RENEWAL = 5.0
#: how long to wait for another writer, in seconds: the request of a client whose
#: connection broke ends a moment after the client comes back.
PATIENCE = 2.0
_STEP = 0.1


class LockHeld(Exception):
    """Another writer has the path, or got it meanwhile."""


class WriterLock:
    """The lock of one path.

    :param bucket: where it is.
    :param key: of the content.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self.key = key + SUFFIX
        self._token = uuid.uuid4().hex
        self._turn = 0
        self._tag = ""
        self._renewed = 0.0
        self._held = False
        #: whether it was taken from a holder who seemed to be dead.
        self.stolen = False

    def acquire(self) -> None:
        """Take the lock.

        :raises LockHeld: somebody has it.
        """
        deadline = time.monotonic() + PATIENCE
        while not self._write({"if-none-match": "*"}):
            if self._take_over() or self.held:
                return
            if time.monotonic() > deadline:
                raise LockHeld
            time.sleep(_STEP)

    @property
    def held(self) -> bool:
        """Whether this writer has it, as far as it knows."""
        return self._held

    def keep(self) -> None:
        """Renew the lock when it is time to.

        :raises LockHeld: it was taken over, or deleted with what it stood beside.
        """
        if not self._held:
            raise LockHeld
        if time.monotonic() - self._renewed > RENEWAL and not self._write(
            {"if-match": self._tag}
        ):
            self._held = False
            raise LockHeld

    def release(self) -> None:
        """Give the lock back, unless somebody took it."""
        if not self._held:
            return
        try:
            if time.monotonic() - self._renewed > LEASE / 2:
                self.keep()
        except LockHeld:
            return
        self._held = False
        self._bucket.delete(self.key)

    def forget(self) -> None:
        """Know that the lock was deleted."""
        self._held = False

    def _write(self, conditions: dict[str, str]) -> bool:
        begin = time.monotonic()
        self._turn += 1
        content = f"{self._token} {self._turn}".encode()
        try:
            self._tag = self._bucket.put(self.key, content, conditions)
        except S3Error as error:
            if not error.taken and not error.missing:
                raise
            return self._wrote(content, begin)
        self._renewed, self._held = begin, True
        return True

    def _wrote(self, content: bytes, begin: float) -> bool:
        """Whether an attempt whose answer was lost wrote the lock nevertheless."""
        answer = self._look()
        if answer is None or answer[2] != content:
            return False
        self._tag, self._renewed, self._held = answer[0], begin, True
        return True

    def _take_over(self) -> bool:
        found = self._look()
        if found is None or found[1] < LEASE:
            return False
        if self._write({"if-match": found[0]}):
            self.stolen = True
            return True
        return False

    def _look(self) -> tuple[str, float, bytes] | None:
        """Return the tag, the age in seconds by the server's clock, and the content."""
        try:
            answer = self._bucket.get(self.key, {})
            content = answer.read_all(1024)
        except S3Error as error:
            if error.missing:
                return None
            raise
        headers = answer.headers
        try:
            written = parsedate_to_datetime(headers["last-modified"])
            age = parsedate_to_datetime(headers["date"]) - written
        except (KeyError, ValueError, TypeError):
            return headers.get("etag", ""), 0.0, content
        return headers.get("etag", ""), age.total_seconds(), content
