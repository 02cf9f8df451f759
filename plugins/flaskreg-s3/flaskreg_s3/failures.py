"""What S3 says when it does not do what it was asked, and which of it passes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from xml.etree import ElementTree

from flaskreg.driver import DriverError


#: a request is sent so often at most; the pauses between add up to some 25 seconds.
ATTEMPTS = 8
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 8.0

_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
_PASSING_CODES = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
    }
)


class S3Error(DriverError):
    """The server refused, or could not be reached.

    :param key: of the object.
    :param status: of the answer; 0 when there was none.
    :param code: S3's word for it, such as ``NoSuchKey``; the kind of fault without one.
    :param broken: whether the connection failed, so that nobody knows what was done.
    """

    message = "S3 error"

    def __init__(
        self, key: str, status: int, code: str, text: str = "", *, broken: bool = False
    ) -> None:
        told = f"{code} {status}" if status else code
        super().__init__(f"/{key}", f"{told}: {text}" if text else told)
        self.status = status
        self.code = code
        self.broken = broken

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        return (
            self.broken
            or self.status in _PASSING_STATUSES
            or self.code in _PASSING_CODES
        )

    @property
    def missing(self) -> bool:
        """Whether the object, or the upload, is not there."""
        if self.code == "NoSuchBucket":
            return False
        return self.status == 404 or self.code in ("NoSuchKey", "NoSuchUpload")

    @property
    def taken(self) -> bool:
        """Whether a condition of the request did not hold."""
        return self.status == 412 or self.code == "PreconditionFailed"


def make_error(key: str, status: int, body: bytes) -> S3Error:
    """Return the error that an answer tells; one without a document has no code."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return S3Error(key, status, "error")
    code, text = root.findtext(".//{*}Code"), root.findtext(".//{*}Message")
    return S3Error(key, status, code or "error", (text or "")[:200])


def pauses() -> Iterator[float]:
    """Yield how long to wait before each further attempt, in seconds.

    They double and are spread, so that clients who were slowed down together do not
    come back together.
    """
    longest = _FIRST_PAUSE
    for _ in range(ATTEMPTS - 1):
        yield random.uniform(longest / 2, longest)
        longest = min(longest * 2, _LONGEST_PAUSE)
