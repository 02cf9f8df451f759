"""One repository of an upstream, as its API shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.parse import urljoin
from urllib.parse import urlsplit

from flaskreg.descriptor import Descriptor
from flaskreg.descriptor import parse_descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import TagInvalid
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.mediatypes import essence
from flaskreg.names import parse_tag
from flaskreg_proxy.budget import FETCH
from flaskreg_proxy.budget import Budget
from flaskreg_proxy.budget import Stalls
from flaskreg_proxy.client import UpstreamClient
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.transport import Reply


ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))

#: bytes of a list that are read, and pages of one that are followed.
LIST_LIMIT = 16 << 20
MOST_PAGES = 200
_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?')
#: media types that say nothing of a manifest, so that its content has to.
_VAGUE = frozenset({"application/json", "application/octet-stream", "text/plain"})
#: how an upstream says that it does not know a method.
_UNKNOWN_METHOD = frozenset({400, 403, 405, 501})


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest as the upstream gave it; not parsed, and its digest not verified."""

    content: bytes
    #: ``""`` when the upstream does not tell.
    media_type: str


class RemoteRepository:
    """What an upstream has under one name.

    :param client: of the upstream.
    :param name: of the repository there.
    :param manifest_bytes: the most bytes of a manifest.
    """

    def __init__(self, client: UpstreamClient, name: str, manifest_bytes: int) -> None:
        self.client = client
        self.name = name
        self._manifest_bytes = manifest_bytes

    # Manifests

    def find_digest(self, tag: str, held: Digest | None, budget: Budget) -> Digest:
        """Return the digest that a tag names there, for the price of a HEAD.

        :param held: what is here already.
        :raises NotThere: it has no such tag.
        :raises LookupError: it does not tell digests, so the manifest must be had.
        """
        headers = {"Accept": ACCEPT}
        if held is not None:
            headers["If-None-Match"] = f'"{held}"'
        try:
            reply = self._request("HEAD", f"manifests/{tag}", budget, headers)
        except UpstreamFailed as error:
            if error.upstream_status in _UNKNOWN_METHOD:
                raise LookupError from None
            raise
        reply.close()
        if reply.status == 304 and held is not None:
            return held
        try:
            return parse_digest(reply.headers.get("Docker-Content-Digest", ""))
        except DigestInvalid:
            raise LookupError from None

    def get_manifest(self, reference: str, budget: Budget) -> RemoteManifest:
        """Return a manifest by tag or digest.

        :raises NotThere: it is not there.
        """
        headers = {"Accept": ACCEPT}
        reply = self._request("GET", f"manifests/{reference}", budget, headers)
        content = reply.read_all(self._manifest_bytes)
        reply.close()
        media_type = essence(reply.headers.get("Content-Type", ""))
        return RemoteManifest(content, "" if media_type in _VAGUE else media_type)

    # Blobs

    def stat_blob(self, digest: Digest) -> int:
        """Return the size of a blob in bytes.

        :raises NotThere: it is not there.
        """
        budget = Budget(FETCH)
        try:
            reply = self._request("HEAD", f"blobs/{digest}", budget)
            reply.close()
            return int(reply.headers["Content-Length"])
        except UpstreamFailed as error:
            if error.upstream_status not in _UNKNOWN_METHOD:
                raise
        except (KeyError, ValueError):
            pass
        return self._stat_by_get(digest, budget)

    def open_blob(self, digest: Digest, offset: int, size: int) -> Reply:
        """Return the content of a blob from *offset* on.

        :param size: that it must have, in bytes.
        :raises NotThere: it is not there.
        :raises UpstreamFailed: it has another size.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        reply = self._request("GET", f"blobs/{digest}", Stalls(), headers)
        try:
            if reply.status == 206:
                _check_range(reply, offset, size)
            elif reply.status == 200:
                _check_length(reply, size)
                _skip(reply, offset)
            else:
                raise UpstreamFailed(f"answered {reply.status} to a range")
        except BaseException:
            reply.abandon()
            raise
        return reply

    def _stat_by_get(self, digest: Digest, budget: Budget) -> int:
        """Ask for the first byte, where the URL that HEAD leads to takes GET alone."""
        headers = {"Range": "bytes=0-0"}
        reply = self._request("GET", f"blobs/{digest}", budget, headers)
        reply.abandon()
        match = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        text = match[3] if match else reply.headers.get("Content-Length", "")
        if not text.isdigit():
            raise UpstreamFailed(message="the upstream does not tell a blob's size")
        return int(text)

    # Lists

    def list_tags(self, limit: int | None, last: str) -> Sequence[str]:
        """Return tags after *last*, in the order of the upstream.

        :param limit: how many at most; ``None`` for all.
        :raises NotThere: there is no such repository.
        """
        query = {"n": str(limit)} if limit is not None else {}
        if last:
            query["last"] = last
        path = "tags/list" + (f"?{urlencode(query)}" if query else "")
        found: list[str] = []
        for document in self._pages(path):
            tags = document.get("tags")
            listed = list(_valid_tags(tags if isinstance(tags, list) else []))
            if query and (last in listed or len(listed) > (limit or len(listed))):
                # CNCF distribution 2 knows no pages of tags, and answers them all.
                after = sorted(tag for tag in listed if tag > last)
                return after[:limit]
            found += listed
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def list_referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """Return the referrers of a manifest.

        :raises NotThere: the upstream has no such list of any manifest.
        """
        found = []
        for document in self._pages(f"referrers/{subject}"):
            manifests = document.get("manifests")
            for entry in manifests if isinstance(manifests, list) else []:
                try:
                    found.append(parse_descriptor(entry, "manifests[]"))
                except (ManifestInvalid, DigestInvalid):
                    continue
        return found

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        budget = Budget(FETCH)
        for _ in range(MOST_PAGES):
            headers = {"Accept": "application/json, " + OCI_INDEX}
            reply = self._request("GET", path, budget, headers)
            try:
                document = json.loads(reply.read_all(LIST_LIMIT))
            except ValueError:
                document = None
            if not isinstance(document, dict):
                raise UpstreamFailed(message="the upstream's list is not JSON")
            reply.close()
            yield document
            following = _next_page(reply)
            if following is None:
                return
            path = following

    def _request(
        self,
        method: str,
        path: str,
        budget: Budget,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        if not path.startswith("/"):
            path = f"/v2/{self.name}/{path}"
        return self.client.request(method, path, self.name, budget, headers)


def _next_page(reply: Reply) -> str | None:
    """Return the path of the next page, when it is one of the API of this server."""
    match = _NEXT.search(reply.headers.get("Link", ""))
    if match is None:
        return None
    parts = urlsplit(urljoin(reply.url, match[1]))
    _, mark, tail = parts.path.rpartition("/v2/")
    if not mark:
        return None
    return f"/v2/{tail}" + (f"?{parts.query}" if parts.query else "")


def _valid_tags(tags: Sequence[Any]) -> Iterator[str]:
    for tag in tags:
        try:
            yield parse_tag(str(tag))
        except TagInvalid:
            continue


def _check_range(reply: Reply, offset: int, size: int) -> None:
    match = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != offset or match[3] not in ("*", str(size)):
        raise UpstreamFailed(message="the upstream sends another part of a blob")


def _check_length(reply: Reply, size: int) -> None:
    length = reply.headers.get("Content-Length")
    if length is not None and length != str(size):
        raise UpstreamFailed(message="the upstream sends a blob of another size")


def _skip(reply: Reply, count: int) -> None:
    """Read what is here already, of an upstream that knows no ranges."""
    while count:
        chunk = reply.read(min(count, 1 << 20))
        if not chunk:
            raise UpstreamFailed(message="the upstream's blob ended early")
        count -= len(chunk)
