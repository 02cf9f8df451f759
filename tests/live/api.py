"""The registry's API as the tests speak it, with no retry that could hide a fault."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl
from urllib.parse import urlencode
from urllib.parse import urljoin
from urllib.parse import urlsplit

import requests

from .images import Layout
from .images import digest_of
from .images import media_type_of


ACCEPT = ", ".join(
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]
)


class Api:
    """One server and one repository name on it."""

    def __init__(self, url: str, name: str, *, timeout: float = 60) -> None:
        self.url = url
        self.name = name
        self.timeout = timeout
        self.session = requests.Session()

    def call(
        self,
        method: str,
        path: str,
        *,
        data: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send one request to a path below the repository, or to a full URL."""
        url = path if "://" in path else f"{self.url}/v2/{self.name}/{path}"
        return self.session.request(
            method,
            url,
            data=data,
            headers=headers,
            timeout=self.timeout,
            allow_redirects=False,
        )

    def start(self) -> str:
        """Start an upload session; return its absolute location."""
        return self.location(expect(self.call("POST", "blobs/uploads/"), 202))

    def location(self, response: requests.Response) -> str:
        """Return the absolute form of a Location, which may be relative."""
        return urljoin(self.url, response.headers["Location"])

    def append(self, location: str, data: bytes, at: int | None = None) -> str:
        """Append one chunk; return the next location."""
        headers = {"Content-Type": "application/octet-stream"}
        if at is not None:
            headers["Content-Range"] = f"{at}-{at + len(data) - 1}"
        answer = self.call("PATCH", location, data=data, headers=headers)
        return self.location(expect(answer, 202))

    def commit(
        self, location: str, digest: str, data: bytes = b""
    ) -> requests.Response:
        """Close an upload session, with or without a last chunk."""
        return self.call("PUT", with_digest(location, digest), data=data)

    def status(self, location: str) -> requests.Response:
        """Ask how far an upload session got."""
        return self.call("GET", location)

    def push_blob(self, data: bytes) -> str:
        """Push one blob as docker does: POST, PATCH, PUT."""
        digest = digest_of(data)
        expect(self.commit(self.append(self.start(), data), digest), 201)
        return digest

    def push_manifest(self, reference: str, data: bytes, media_type: str) -> str:
        """Push one manifest; return its digest as the server says it."""
        headers = {"Content-Type": media_type}
        path = f"manifests/{reference}"
        answer = expect(self.call("PUT", path, data=data, headers=headers), 201)
        return answer.headers["Docker-Content-Digest"]

    def push(self, layout: Layout, *tags: str) -> str:
        """Push all that a layout tags; return its digest."""
        for digest in layout.blobs():
            self.push_blob(layout.blob(digest).read_bytes())
        for digest, manifest in layout.manifests():
            data = layout.blob(digest).read_bytes()
            for reference in tags if digest == layout.digest and tags else [digest]:
                self.push_manifest(reference, data, media_type_of(manifest))
        return layout.digest

    def pull_blob(self, digest: str) -> bytes:
        """Pull one blob; its content must be what the digest says."""
        data = expect(self.call("GET", f"blobs/{digest}"), 200).content
        assert digest_of(data) == digest
        return data

    def pull_manifest(self, reference: str) -> tuple[bytes, str]:
        """Pull one manifest; return its bytes and media type."""
        path = f"manifests/{reference}"
        answer = expect(self.call("GET", path, headers={"Accept": ACCEPT}), 200)
        assert answer.headers["Docker-Content-Digest"] == digest_of(answer.content)
        return answer.content, answer.headers["Content-Type"]

    def check_holds(self, layout: Layout, tag: str | None = None) -> None:
        """Check that every byte of a layout comes back, by digest and by tag."""
        for digest, manifest in layout.manifests():
            data, media_type = self.pull_manifest(digest)
            assert digest_of(data) == digest
            assert media_type == media_type_of(manifest)
        for digest in layout.blobs():
            head = expect(self.call("HEAD", f"blobs/{digest}"), 200)
            assert len(self.pull_blob(digest)) == int(head.headers["Content-Length"])
        if tag:
            assert digest_of(self.pull_manifest(tag)[0]) == layout.digest


def expect(response: requests.Response, *statuses: int) -> requests.Response:
    """Return a response that has one of the statuses; its text explains a failure."""
    assert response.status_code in statuses, (
        f"{response.status_code} {response.text[:400]} to "
        f"{response.request.method} {response.request.url}"
    )
    return response


def with_digest(location: str, digest: str) -> str:
    """Add the digest parameter to a location, keeping what it carries."""
    parts = urlsplit(location)
    query = urlencode(
        [*parse_qsl(parts.query, keep_blank_values=True), ("digest", digest)]
    )
    return parts._replace(query=query).geturl()


def offset_of(response: requests.Response) -> int:
    """Return how many bytes a session holds, from its ``Range`` of ``0-N``.

    An empty session says ``0-0`` just as one that holds one byte does.
    """
    last = int(response.headers["Range"].rpartition("-")[2])
    return last + 1 if last else 0
