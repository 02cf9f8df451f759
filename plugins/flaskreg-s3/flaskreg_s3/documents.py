"""The XML documents of S3: what is listed, and what is asked."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from flaskreg_s3.failures import S3Error


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells it."""

    key: str
    #: in bytes.
    size: int
    modified: datetime | None


class Page(NamedTuple):
    """One page of a listing."""

    objects: Sequence[Listed]
    #: the common beginnings of keys, each with its delimiter.
    prefixes: Sequence[str]
    #: where the next page begins; empty on the last one.
    token: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload."""

    number: int
    etag: str
    #: in bytes.
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A pending multipart upload."""

    key: str
    id: str
    initiated: datetime | None


def parse(key: str, content: bytes) -> ElementTree.Element:
    """Return the root of a document.

    :raises S3Error: it is none.
    """
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError:
        raise S3Error(key, 0, "the answer is not XML") from None


def text_of(root: ElementTree.Element, name: str) -> str:
    """Return the text of an element, empty where it is not there."""
    return root.findtext(f"{{*}}{name}") or ""


def parse_page(key: str, content: bytes) -> Page:
    """Return a page of ``ListObjectsV2``."""
    root = parse(key, content)
    more = text_of(root, "IsTruncated") == "true"
    return Page(
        [
            Listed(
                text_of(each, "Key"),
                int(text_of(each, "Size") or 0),
                parse_time(text_of(each, "LastModified")),
            )
            for each in root.iterfind("{*}Contents")
        ],
        [text_of(each, "Prefix") for each in root.iterfind("{*}CommonPrefixes")],
        text_of(root, "NextContinuationToken") if more else "",
    )


def parse_uploads(key: str, content: bytes) -> tuple[Sequence[Upload], dict[str, str]]:
    """Return a page of ``ListMultipartUploads``, and the query of the next one."""
    root = parse(key, content)
    found = [
        Upload(
            text_of(each, "Key"),
            text_of(each, "UploadId"),
            parse_time(text_of(each, "Initiated")),
        )
        for each in root.iterfind("{*}Upload")
    ]
    if text_of(root, "IsTruncated") != "true":
        return found, {}
    return found, {
        "key-marker": text_of(root, "NextKeyMarker"),
        "upload-id-marker": text_of(root, "NextUploadIdMarker"),
    }


def parse_parts(key: str, content: bytes) -> tuple[Sequence[Part], str]:
    """Return a page of ``ListParts``, and after which part the next one begins."""
    root = parse(key, content)
    found = [
        Part(
            int(text_of(each, "PartNumber")),
            text_of(each, "ETag"),
            int(text_of(each, "Size")),
        )
        for each in root.iterfind("{*}Part")
    ]
    more = text_of(root, "IsTruncated") == "true"
    return found, text_of(root, "NextPartNumberMarker") if more else ""


def completion(parts: Iterable[Part]) -> bytes:
    """Return the document that completes an upload."""
    lines = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber>"
        f"<ETag>{escape(part.etag)}</ETag></Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload>{lines}</CompleteMultipartUpload>".encode()


def deletion(keys: Iterable[str]) -> bytes:
    """Return the document that deletes objects."""
    lines = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    return f"<Delete><Quiet>true</Quiet>{lines}</Delete>".encode()


def parse_time(text: str) -> datetime | None:
    """Return a time with its zone, ``None`` where there is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
