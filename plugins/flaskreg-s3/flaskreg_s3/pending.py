"""What is at a key: an object, or a multipart upload that waits to be completed."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime

from flaskreg_s3.bucket import Bucket
from flaskreg_s3.documents import Part
from flaskreg_s3.failures import S3Error


@dataclass(frozen=True, slots=True)
class Found:
    """Content at a key."""

    #: in bytes.
    size: int
    modified: datetime | None
    #: of the pending upload; ``None`` for an object, which is committed.
    upload: str | None = None
    #: of the pending upload, in order.
    parts: Sequence[Part] = ()
    #: whether it is all that is there.
    alone: bool = True


def find_object(bucket: Bucket, key: str) -> Found | None:
    """Return the object at a key, or the upload that goes on with it.

    Only what was an upload itself is gone on with, and its tag tells that: the others
    cost one request.
    """
    headers = bucket.find(key)
    if headers is None:
        return None
    found = _of_object(headers)
    if "-" not in headers.get("etag", ""):
        return found
    return _larger(found, find_upload(bucket, key))


def find_upload(bucket: Bucket, key: str) -> Found | None:
    """Return the pending upload at a key.

    Of several it is the one with the most content, the oldest one of equals: an answer
    to its beginning that was lost leaves an empty one beside it.
    """
    best = None
    for upload in bucket.iter_uploads(key):
        if upload.key != key:
            continue
        try:
            parts = bucket.parts(key, upload.id)
        except S3Error as error:
            if error.missing:
                continue
            raise
        size = sum(part.size for part in parts)
        found = Found(size, upload.initiated, upload.id, parts)
        best = _larger(best, found)
    return best


def find_content(bucket: Bucket, key: str) -> Found | None:
    """Return what is at a key.

    Where there are an object and an upload, the upload was begun to go on with the
    object: it is the content when it has more, and else it was broken off.
    """
    headers = bucket.find(key)
    found = None if headers is None else _of_object(headers)
    return _larger(found, find_upload(bucket, key))


def _of_object(headers: Mapping[str, str]) -> Found:
    try:
        modified = parsedate_to_datetime(headers["last-modified"])
    except (KeyError, ValueError):
        modified = None
    return Found(int(headers.get("content-length", 0)), modified)


def _larger(one: Found | None, other: Found | None) -> Found | None:
    if one is None or other is None:
        return one or other
    return replace(max(one, other, key=lambda found: found.size), alone=False)
