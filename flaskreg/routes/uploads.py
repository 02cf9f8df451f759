"""``/v2/<name>/blobs/uploads/``: push a blob at once, in chunks, or by mounting it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager

from flaskreg.descriptor import Descriptor
from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.digest import parse_algorithm
from flaskreg.digest import parse_digest
from flaskreg.errors import DigestInvalid
from flaskreg.errors import RangeInvalid
from flaskreg.errors import SizeInvalid
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import Headers
from flaskreg.routes.answer import empty_answer
from flaskreg.routes.authorize import may_pull
from flaskreg.routes.authorize import mount_source
from flaskreg.routes.body import Body
from flaskreg.routes.call import Call
from flaskreg.routes.emit import emit_blob
from flaskreg.routes.statetoken import UploadState
from flaskreg.services import UploadSession


#: ``Content-Range`` of a chunk has no unit, unlike the header of RFC 9110.
_CHUNK_RANGE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")


def post_uploads(call: Call) -> Answer:
    """Mount a blob, take a whole one, or start a session (end-4, end-11)."""
    mounted = _mount(call)
    if mounted is not None:
        return _created(call, mounted)
    stated = call.arg("digest")
    if stated is not None:
        return _take_whole(call, _parse_digest(stated))
    algorithm = parse_algorithm(call.arg("digest-algorithm") or CANONICAL)
    uploads, owner = call.repository.uploads, call.grant.principal.name
    if call.site.stores_sessions or algorithm != CANONICAL:
        session = uploads.start(algorithm, owner)
    else:
        session = uploads.promise(owner)
    headers: Headers = []
    if call.site.chunk_min_length is not None:
        headers.append(("OCI-Chunk-Min-Length", str(call.site.chunk_min_length)))
    return _accepted(call, session, headers)


def get_upload(call: Call) -> Answer:
    """Answer how much has arrived, and where to go on (end-13)."""
    state = _state(call) if call.arg("_state") else None
    return Answer(204, _progress(call, _session(call, state, look=True)))


def patch_upload(call: Call) -> Answer:
    """Append a chunk, or a stream (end-5)."""
    state = _state(call)
    session = _session(call, state)
    body = call.body
    stated = _chunk_range(call, body)
    with _located(call, session), call.site.bulk.receiving(body.length):
        at = state.offset if stated is None else stated[0]
        session.append(_exactly(body, stated), at)
    return _accepted(call, session)


def put_upload(call: Call) -> Answer:
    """Append the last chunk, if there is one, and close the session (end-6)."""
    state = _state(call)
    digest = _parse_digest(call.arg("digest"))
    session = _session(call, state)
    body = call.body
    stated = _chunk_range(call, body)
    with _located(call, session), call.site.bulk.receiving(body.length):
        if stated is not None:
            blob = session.commit(digest, _exactly(body, stated), stated[0])
        elif body.length == 0:
            blob = session.commit(digest)
        else:
            blob = session.commit(digest, body.chunks(), state.offset)
    emit_blob(call, "push", digest, blob.size)
    return _created(call, digest)


def delete_upload(call: Call) -> Answer:
    """Cancel a session (end-14)."""
    session = _session(call, _state(call))
    session.cancel()
    return Answer(204, [("Docker-Upload-UUID", session.id)])


def _mount(call: Call) -> Digest | None:
    """Mount the blob that is asked for, from where the caller may pull it."""
    asked = call.arg("mount")
    if asked is None:
        return None
    try:
        digest = parse_digest(asked)
    except DigestInvalid:
        return None
    source = mount_source(call)
    if source is not None:
        return digest if _mount_from(call, digest, source) else None
    if call.arg("from"):
        return None
    for name in call.site.registry.iter_holders(digest, call.site.mount_search):
        if may_pull(call, name) and _mount_from(call, digest, name):
            return digest
    return None


def _mount_from(call: Call, digest: Digest, source: str) -> Descriptor | None:
    if not call.site.registry.scope().contains(source):
        return None
    mounted = call.repository.blobs.mount(digest, source)
    if mounted is not None:
        emit_blob(call, "mount", digest, mounted.size, source)
    return mounted


def _take_whole(call: Call, digest: Digest) -> Answer:
    body = call.body
    with call.site.bulk.receiving(body.length):
        blob = call.repository.uploads.take(digest, body.chunks())
    emit_blob(call, "push", digest, blob.size)
    return _created(call, digest)


def _parse_digest(stated: str | None) -> Digest:
    if not stated:
        raise DigestInvalid("digest missing")
    return parse_digest(stated)


def _state(call: Call) -> UploadState:
    return call.site.signer.verify(
        call.arg("_state") or "", call.name, call.route.reference
    )


def _session(
    call: Call, state: UploadState | None, *, look: bool = False
) -> UploadSession:
    """Return the session of the path, which belongs to whoever calls.

    :param look: whether its size is to be looked at, whatever its state says.
    """
    owner = call.grant.principal.name
    promised = expected = None
    if state is not None:
        promised = state.promised if state.owner == owner else None
        expected = None if look else state.offset
    return call.repository.uploads.resume(
        call.route.reference, owner, promised, expected
    )


@contextmanager
def _located(call: Call, session: UploadSession) -> Iterator[None]:
    """Tell who sends a chunk that does not fit where the session goes on."""
    try:
        yield
    except RangeInvalid as error:
        if session.stored:
            owner = call.grant.principal.name
            session = call.repository.uploads.resume(session.id, owner)
        error.headers.update(_progress(call, session))
        raise


def _chunk_range(call: Call, body: Body) -> tuple[int, int] | None:
    """Return the first and last byte that a chunk says it has, if it says so.

    :raises RangeInvalid: the header is malformed.
    :raises SizeInvalid: range and length do not go together.
    """
    header = call.header("HTTP_CONTENT_RANGE")
    if header is None or (body.length == 0 and not header):
        return None
    match = _CHUNK_RANGE.fullmatch(header.strip())
    if match is None or int(match[1]) > int(match[2]):
        raise RangeInvalid(f"Content-Range: {header[:100]!r} is not <first>-<last>")
    first, last = int(match[1]), int(match[2])
    if body.length is not None and body.length != last - first + 1:
        raise SizeInvalid(f"{body.length} bytes are not the range {header.strip()}")
    return first, last


def _exactly(body: Body, stated: tuple[int, int] | None) -> Iterator[bytes]:
    """Yield a body and see that it has as many bytes as its range says."""
    received = 0
    for chunk in body.chunks():
        received += len(chunk)
        if stated is not None and received > stated[1] - stated[0] + 1:
            raise SizeInvalid("the body is longer than its range")
        yield chunk
    if stated is not None and received != stated[1] - stated[0] + 1:
        raise SizeInvalid("the body is shorter than its range")


def _progress(call: Call, session: UploadSession) -> Headers:
    state = call.site.signer.sign(call.name, session)
    urls = call.site.urls
    return [
        ("Location", urls.upload(call.environ, call.name, session.id, state)),
        ("Range", f"0-{max(session.size - 1, 0)}"),
        ("Docker-Upload-UUID", session.id),
    ]


def _accepted(
    call: Call, session: UploadSession, headers: Iterable[tuple[str, str]] = ()
) -> Answer:
    return empty_answer(202, [*_progress(call, session), *headers])


def _created(call: Call, digest: Digest) -> Answer:
    return empty_answer(
        201,
        [
            ("Location", call.site.urls.blob(call.environ, call.name, digest)),
            ("Docker-Content-Digest", digest),
        ],
    )
