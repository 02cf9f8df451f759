"""``/v2/<name>/blobs/<digest>``."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO
from typing import TypeVar

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.handover import ContentRequest
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import Headers
from flaskreg.routes.answer import empty_answer
from flaskreg.routes.bulk import SMALL
from flaskreg.routes.call import Call
from flaskreg.routes.conditional import Span
from flaskreg.routes.conditional import etag_matches
from flaskreg.routes.conditional import parse_ranges
from flaskreg.routes.emit import emit_blob
from flaskreg.routes.emit import emit_delete
from flaskreg.routes.files import FileBody
from flaskreg.routes.files import MultipartBody


B = TypeVar("B", FileBody, MultipartBody)

#: conditions on our etag, which a server that sends a file for us does not know.
_CONDITIONS = frozenset({"HTTP_IF_MATCH", "HTTP_IF_RANGE"})


def get_blob(call: Call) -> Answer:
    """Answer a blob, a part of it, or where to get it (end-2)."""
    digest = parse_digest(call.route.reference)
    blobs = call.repository.blobs
    descriptor = blobs.stat(digest)
    handover = blobs.hand_over(descriptor, _request(call, "GET"))
    if handover is not None and handover.url:
        emit_blob(call, "pull", digest, descriptor.size)
        return _redirected(handover.url, digest)
    headers = _headers(digest)
    ended = _precondition(call, digest, headers)
    if ended is not None:
        return ended
    if handover is not None and not _CONDITIONS & call.environ.keys():
        emit_blob(call, "pull", digest, descriptor.size)
        return empty_answer(200, [*headers, *handover.headers])
    spans = _spans(call, digest, descriptor.size)
    emit_blob(call, "pull", digest, descriptor.size)
    if len(spans) > 1:
        return _multipart(call, descriptor, spans, headers)
    if spans:
        return _part(call, descriptor, spans[0], headers)
    headers.append(("Content-Length", str(descriptor.size)))
    return Answer(200, headers, _open(call, descriptor, Span(0, descriptor.size)))


def head_blob(call: Call) -> Answer:
    """Answer whether a blob is here; its content is not touched (end-2)."""
    digest = parse_digest(call.route.reference)
    blobs = call.repository.blobs
    descriptor = blobs.stat(digest)
    blobs.announce(descriptor)
    handover = blobs.hand_over(descriptor, _request(call, "HEAD"))
    if handover is not None and handover.url:
        emit_blob(call, "pull", digest, descriptor.size)
        return _redirected(handover.url, digest)
    headers = _headers(digest)
    ended = _precondition(call, digest, headers)
    if ended is not None:
        return ended
    emit_blob(call, "pull", digest, descriptor.size)
    headers.append(("Content-Length", str(descriptor.size)))
    return Answer(200, headers)


def delete_blob(call: Call) -> Answer:
    """Take a blob out of the repository (end-10)."""
    digest = parse_digest(call.route.reference)
    call.repository.blobs.delete(digest)
    emit_delete(call, digest)
    return empty_answer(202, [("Docker-Content-Digest", digest)])


def _headers(digest: Digest) -> Headers:
    return [
        ("Content-Type", OCTET_STREAM),
        ("Docker-Content-Digest", digest),
        ("Etag", f'"{digest}"'),
        ("Cache-Control", "max-age=31536000"),
        ("Accept-Ranges", "bytes"),
    ]


def _request(call: Call, method: str) -> ContentRequest:
    peer = call.environ.get("REMOTE_ADDR") or ""
    return ContentRequest(method, call.site.urls.client(call.environ), peer)


def _redirected(url: str, digest: Digest) -> Answer:
    headers = [("Location", url), ("Docker-Content-Digest", digest)]
    return empty_answer(307, [*headers, ("Content-Type", OCTET_STREAM)])


def _precondition(call: Call, digest: Digest, headers: Headers) -> Answer | None:
    """Return the answer of a condition that ends the request, if one does."""
    wanted = call.header("HTTP_IF_MATCH")
    held = call.header("HTTP_IF_NONE_MATCH")
    if wanted is None and held is None:
        return None
    described = [header for header in headers if header[0] != "Content-Type"]
    if wanted is not None and not etag_matches(wanted, digest, strong=True):
        return empty_answer(412, described)
    if held is not None and etag_matches(held, digest):
        return Answer(304, described)
    return None


def _spans(call: Call, digest: Digest, size: int) -> list[Span]:
    asked = call.header("HTTP_RANGE")
    if asked is None:
        return []
    condition = call.header("HTTP_IF_RANGE")
    if condition is not None and condition.strip() != f'"{digest}"':
        return []
    return parse_ranges(asked, size)


def _part(call: Call, descriptor: Descriptor, span: Span, headers: Headers) -> Answer:
    headers += [
        ("Content-Length", str(span.length)),
        ("Content-Range", span.content_range(descriptor.size)),
    ]
    return Answer(206, headers, _open(call, descriptor, span))


def _multipart(
    call: Call, descriptor: Descriptor, spans: list[Span], headers: Headers
) -> Answer:
    size = descriptor.size

    def make(reader: BinaryIO, on_close: Callable[[], None]) -> MultipartBody:
        return MultipartBody(reader, spans, size, OCTET_STREAM, on_close)

    body = _counted(call, descriptor, 0, make)
    kept = [header for header in headers if header[0] != "Content-Type"]
    kept += [
        ("Content-Type", f"multipart/byteranges; boundary={body.boundary}"),
        ("Content-Length", str(body.length)),
    ]
    return Answer(206, kept, body)


def _open(call: Call, descriptor: Descriptor, span: Span) -> FileBody:
    """Open a part of a blob, counted as a bulk transfer unless it is small."""
    if span.length <= SMALL:
        reader = call.repository.blobs.open(descriptor, span.start)
        return FileBody(reader, span.length)

    def make(reader: BinaryIO, on_close: Callable[[], None]) -> FileBody:
        return FileBody(reader, span.length, on_close)

    return _counted(call, descriptor, span.start, make)


def _counted(
    call: Call,
    descriptor: Descriptor,
    offset: int,
    make: Callable[[BinaryIO, Callable[[], None]], B],
) -> B:
    """Open a blob as a bulk transfer, which ends when its body is closed."""
    call.site.bulk.enter()
    leave = call.site.bulk.leave
    try:
        return make(call.repository.blobs.open(descriptor, offset), leave)
    except BaseException:
        leave()
        raise
