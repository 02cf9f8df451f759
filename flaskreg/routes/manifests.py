"""``/v2/<name>/manifests/<reference>``."""

from __future__ import annotations

from flaskreg.digest import Digest
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import UriTooLong
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.mediatypes import essence
from flaskreg.names import parse_reference
from flaskreg.names import parse_tag
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import Headers
from flaskreg.routes.answer import empty_answer
from flaskreg.routes.call import Call
from flaskreg.routes.conditional import etag_matches
from flaskreg.routes.emit import emit_delete
from flaskreg.routes.emit import emit_manifest
from flaskreg.services import ManifestStore


#: the most tags of one push.
MOST_TAGS = 100


def get_manifest(call: Call) -> Answer:
    """Answer a manifest, by tag or digest (end-3)."""
    reference = parse_reference(call.route.reference)
    manifests = call.repository.manifests()
    if isinstance(reference, Digest):
        manifest = manifests.get(reference)
    else:
        manifest = manifests.get_tagged(reference)
    held = call.header("HTTP_IF_NONE_MATCH")
    if held is not None and etag_matches(held, manifest.digest):
        return Answer(304, _identity(manifest.digest))
    accepted = call.header("HTTP_ACCEPT")
    by_tag = not isinstance(reference, Digest)
    if accepted:
        manifest = _negotiate(accepted, manifest, manifests, by_tag=by_tag)
    emit_manifest(call, "pull", manifest, [reference] if by_tag else [])
    return Answer(
        200,
        [
            ("Content-Type", manifest.media_type),
            ("Content-Length", str(len(manifest.content))),
            *_identity(manifest.digest),
            *_warnings(manifests, manifest),
        ],
        manifest.content,
    )


def head_manifest(call: Call) -> Answer:
    """Answer as :func:`get_manifest` does, without the content (end-3)."""
    answer = get_manifest(call)
    answer.body = b""
    return answer


def put_manifest(call: Call) -> Answer:
    """Store a manifest and let tags name it (end-7)."""
    reference = parse_reference(call.route.reference)
    stated = call.headers.get("Content-Type")
    digest, tags = None, _tags(call)
    if isinstance(reference, Digest):
        digest = reference
    else:
        tags = [reference]
    manifests = call.repository.manifests()
    body = call.body
    with call.site.bulk.receiving(body.length):
        content = body.read_all(call.site.manifest_bytes)
    may_overwrite = call.site.controller.may_overwrite
    frozen = [tag for tag in tags if not may_overwrite(call.headers, call.name, tag)]
    manifest = manifests.put(content, essence(stated or ""), digest, tags, frozen)
    emit_manifest(call, "push", manifest, tags)
    headers = [
        ("Location", call.site.urls.manifest(call.environ, call.name, manifest.digest)),
        ("Docker-Content-Digest", manifest.digest),
        *_warnings(manifests, manifest),
    ]
    if manifest.subject is not None:
        headers.append(("OCI-Subject", manifest.subject.digest))
    if digest is not None:
        headers += [("OCI-Tag", tag) for tag in tags]
    return empty_answer(201, headers)


def delete_manifest(call: Call) -> Answer:
    """Delete a manifest and its tags, or one tag only (end-9)."""
    reference = parse_reference(call.route.reference)
    if isinstance(reference, Digest):
        tags = call.repository.manifests().delete(reference)
        emit_delete(call, reference, tags)
    else:
        call.repository.tags.untag(reference)
        emit_delete(call, tags=[reference])
    return empty_answer(202)


def _tags(call: Call) -> list[str]:
    tags = list(dict.fromkeys(parse_tag(tag) for tag in call.args("tag")))
    if len(tags) > MOST_TAGS:
        raise UriTooLong(f"a push has at most {MOST_TAGS} tags")
    return tags


def _identity(digest: Digest) -> Headers:
    return [("Docker-Content-Digest", digest), ("Etag", f'"{digest}"')]


def _warnings(manifests: ManifestStore, manifest: Manifest) -> Headers:
    return [
        ("Warning", f'299 - "{_quotable(sentence)}"')
        for sentence in manifests.warnings(manifest)
    ]


def _quotable(sentence: str) -> str:
    return sentence.replace("\\", "\\\\").replace('"', '\\"')


def _negotiate(
    accepted: str, manifest: Manifest, manifests: ManifestStore, *, by_tag: bool
) -> Manifest:
    """Return what a client that says what it accepts can read.

    Source: CNCF distribution; a wildcard accepts everything. An index of docker, asked
    for by tag by a client that knows none, is answered with its linux/amd64 manifest.
    """
    types = {essence(part) for part in accepted.split(",")}
    kind = manifest.media_type
    if kind in types or "*/*" in types or "application/*" in types:
        return manifest
    if kind == OCI_MANIFEST:
        raise ManifestUnknown(
            message="OCI manifest found, "
            "but accept header does not support OCI manifests"
        )
    if kind != DOCKER_LIST or not by_tag:
        return manifest
    child = manifests.get(_amd64(manifest))
    if child.media_type == DOCKER_MANIFEST and DOCKER_MANIFEST not in types:
        raise ManifestInvalid("Schema 2 manifest not supported by client")
    return child


def _amd64(index: Manifest) -> Digest:
    for child in index.manifests:
        platform = child.platform or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            return child.digest
    raise ManifestUnknown(f"no linux/amd64 manifest in {index.digest}")
