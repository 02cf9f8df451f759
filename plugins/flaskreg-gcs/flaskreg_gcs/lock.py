"""Of all processes, one writes at a path: a small object beside the content says who.

A conditional write makes the object where there is none; its holder renews it while
bytes come, and one that was not renewed for a while is thought to be of a process that
died. Times are those of the service alone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from email.utils import parsedate_to_datetime

from google.api_core.exceptions import NotFound
from google.api_core.exceptions import PreconditionFailed

from flaskreg.driver import DriverError
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg_gcs.service import Service


#: what follows the key of the content; no path of a driver has this letter.
SUFFIX = "~writer"

#: a lock that was not renewed for so many seconds can be taken over.
LEASE = 20.0
#: how often a holder renews it, in seconds.
RENEWAL = 5.0
#: how long to wait for another writer, in seconds: the request of a client whose
#: connection broke ends a moment after the client comes back.
PATIENCE = 1.0
_STEP = 0.1


class WriterLock:
    """The lock of one path.

    :param service: where it is.
    :param path: of the driver, for errors.
    :param key: of the content.
    """

    def __init__(self, service: Service, path: str, key: str) -> None:
        self._service = service
        self._path = path
        self._key = key + SUFFIX
        self._generation = 0
        self._renewed = 0.0

    def acquire(self) -> None:
        """Take the lock.

        :raises InvalidOffset: somebody has it.
        """
        deadline = time.monotonic() + PATIENCE
        while not self._write(0):
            if self._taken_over():
                return
            if time.monotonic() > deadline:
                raise InvalidOffset(self._path)
            time.sleep(_STEP)

    def renew(self) -> None:
        """Renew the lock when some time has gone.

        :raises PathNotFound: somebody else has it meanwhile.
        """
        if time.monotonic() - self._renewed < RENEWAL:
            return
        if not self._write(self._generation):
            raise PathNotFound(self._path, "taken over meanwhile")

    def release(self) -> None:
        """Let go of it; one that was taken over stays its new holder's."""
        with suppress(DriverError), self._service.turn(self._path) as bucket:
            blob = bucket.blob(self._key)
            with suppress(PreconditionFailed, NotFound):
                blob.delete(
                    if_generation_match=self._generation, retry=self._service.retry
                )

    def _write(self, generation: int) -> bool:
        """Write the object in place of a generation; 0 is none."""
        with self._service.turn(self._path, makes=True) as bucket:
            blob = bucket.blob(self._key)
            try:
                blob.upload_from_string(
                    b"", if_generation_match=generation, retry=self._service.retry
                )
            except PreconditionFailed:
                return False
            self._generation = int(blob.generation)
        self._renewed = time.monotonic()
        return True

    def _taken_over(self) -> bool:
        """Take the lock of a holder who seems to be dead."""
        url = self._service.object_url(self._key)
        answer = self._service.send(self._path, "GET", url)
        if answer.status_code != 200:
            return False
        found = answer.json()
        now = parsedate_to_datetime(answer.headers.get("Date") or _now())
        age = (now - datetime.fromisoformat(found["updated"])).total_seconds()
        return age > LEASE and self._write(int(found["generation"]))


def _now() -> str:
    return datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
