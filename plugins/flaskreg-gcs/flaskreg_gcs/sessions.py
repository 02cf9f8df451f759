"""Uploads that outlive a process, in the form in which CNCF distribution keeps them.

Whole units of 256 KiB go to a resumable session of the service; the rest is parked in
an object at the path itself, whose content type and metadata say that it is no content.
"""

from __future__ import annotations

import re
from typing import Any
from typing import NamedTuple

from google.cloud.storage import Blob  # type: ignore[import-untyped]

from flaskreg_gcs.service import GcsFailure
from flaskreg_gcs.service import Service


CONTENT = "application/octet-stream"
PARKED = "application/x-docker-upload-session"

_RANGE = re.compile(r"bytes=0-([0-9]+)")


class Parked(NamedTuple):
    """What a writer left."""

    #: the URL of the session; ``""`` when none was begun.
    session: str
    #: bytes that the session has.
    offset: int
    #: what follows them.
    rest: bytes

    @property
    def size(self) -> int:
        """Return all bytes so far."""
        return self.offset + len(self.rest)


def is_parked(blob: Blob) -> bool:
    """Whether an object is no content."""
    return bool(blob.content_type == PARKED)


def size_of(blob: Blob) -> int:
    """Return the bytes of content, or of what is on its way to be some."""
    return int(blob.size or 0) + (_offset(blob) if is_parked(blob) else 0)


def read_parked(blob: Blob, retry: Any) -> Parked:
    """Return what an object parks.

    :param retry: how the library tries again.
    """
    session = (blob.metadata or {}).get("Session-URI") or ""
    rest = blob.download_as_bytes(if_generation_match=blob.generation, retry=retry)
    return Parked(session, _offset(blob), rest)


def park(blob: Blob, parked: Parked, retry: Any) -> None:
    """Put what a writer leaves into an object.

    :param retry: how the library tries again.
    """
    blob.metadata = {"Session-URI": parked.session, "Offset": str(parked.offset)}
    blob.upload_from_string(parked.rest, content_type=PARKED, retry=retry)


def _offset(blob: Blob) -> int:
    text = (blob.metadata or {}).get("Offset") or "0"
    return int(text) if text.isascii() and text.isdigit() else 0


def begin_session(service: Service, path: str, key: str) -> str:
    """Begin a resumable session for an object, and return its URL."""
    headers = {"X-Upload-Content-Type": CONTENT, "Content-Length": "0"}
    answer = service.send(path, "POST", service.upload_url(key), headers=headers)
    location = answer.headers.get("Location", "")
    if answer.status_code != 200 or not location:
        raise GcsFailure(path, f"no upload session: {answer.status_code}")
    return location


def put_piece(
    service: Service,
    path: str,
    session: str,
    piece: memoryview,
    offset: int,
    total: int | None = None,
) -> int:
    """Send a piece to a session; return how many bytes of it were taken.

    :param total: the bytes of all content, when this piece is the last.
    """
    size = "*" if total is None else str(total)
    span = f"{offset}-{offset + len(piece) - 1}" if piece else "*"
    answer = service.send(
        path,
        "PUT",
        session,
        body=piece,
        headers={"Content-Type": CONTENT, "Content-Range": f"bytes {span}/{size}"},
    )
    if answer.status_code == 308:
        match = _RANGE.fullmatch(answer.headers.get("Range", ""))
        return max(int(match[1]) + 1 - offset, 0) if match else 0
    if answer.status_code in (200, 201) and total is not None:
        return len(piece)
    raise GcsFailure(path, f"the upload session ended: {answer.status_code}")
