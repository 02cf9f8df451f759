"""Import from another registry, by the HTTP API."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from typing import BinaryIO
from typing import cast
from urllib.parse import quote
from urllib.parse import urlencode
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import DigestInvalid
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.transfer.layout import LARGEST
from flaskreg.transfer.source import Listing
from flaskreg.transfer.source import ManifestMissing
from flaskreg.transfer.source import Source
from flaskreg.transfer.source import SourceError
from flaskreg.transfer.source import decode
from flaskreg.transfer.source import digest_in
from flaskreg.transfer.source import listed


_ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_NEXT = re.compile(r'<([^>]+)>;\s*rel="?next"?')

#: how often a blob that breaks off is gone on with.
_RESUMES = 5
_RETRIES = urllib3.Retry(
    total=5,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=("GET", "HEAD"),
    raise_on_status=False,
)
_TIMEOUT = urllib3.Timeout(connect=20, read=60)


class Remote(Source):
    """The repositories of another registry.

    :param url: of the registry, without a path, such as ``https://registry.example``.
    :param repository: the one that is imported; ``""`` for all of its catalog.
    :param reference: the tag, or digest, that is imported; ``""`` for all tags.
    :param user: ``""`` asks as nobody in particular.
    :param password: of that user; it goes to the registry and to where that registry
        says that tokens are had.
    """

    def __init__(
        self,
        url: str,
        repository: str = "",
        reference: str = "",
        user: str = "",
        password: str = "",
    ) -> None:
        self._url = url.rstrip("/")
        self._repository = repository
        self._reference = reference
        self._basic = ""
        if user:
            pair = f"{user}:{password}".encode()
            self._basic = "Basic " + base64.b64encode(pair).decode("ascii")
        self._pool = urllib3.PoolManager(retries=_RETRIES, timeout=_TIMEOUT)
        #: what is sent to each repository.
        self._authorization: dict[str, str] = {}

    def iter_repositories(self) -> Iterator[str]:
        """Yield the one that was asked for, or those of the catalog."""
        if self._repository:
            yield self._repository
            return
        for page in self._pages("", "/v2/_catalog?n=100"):
            yield from page.get("repositories") or ()

    def get_listing(self, repository: str) -> Listing:
        """Return all tags, or the one reference."""
        if ":" in self._reference:
            return Listing({}, [parse_digest(self._reference)])
        if self._reference:
            tags = [self._reference]
        else:
            first = f"/v2/{repository}/tags/list?n=100"
            pages = self._pages(repository, first)
            tags = [tag for page in pages for tag in page.get("tags") or ()]
        return Listing({tag: self._resolve(repository, tag) for tag in tags})

    def get_manifest(self, repository: str, digest: Digest) -> tuple[bytes, str]:
        """Return a manifest by its digest."""
        path = f"/v2/{repository}/manifests/{digest}"
        answer = self._get(repository, path, missing=ManifestMissing)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return _content(answer), media_type

    def open_blob(self, repository: str, digest: Digest) -> BinaryIO:
        """Open a blob; one that breaks off is gone on with where it did."""
        path = f"/v2/{repository}/blobs/{digest}"

        def again(offset: int) -> urllib3.BaseHTTPResponse:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            return self._get(repository, path, headers, streamed=True)

        return cast("BinaryIO", io.BufferedReader(_Resumed(again)))

    def get_referrers(self, repository: str, subject: Digest) -> Iterable[Digest]:
        """Return what the referrers API lists; nothing where there is none."""
        path = f"/v2/{repository}/referrers/{subject}"
        found: list[Digest] = []
        with suppress(SourceError, DigestInvalid):
            for page in self._pages(repository, path):
                found += [digest_in(each) for each in listed(page, "manifests")]
        return found

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _resolve(self, repository: str, tag: str) -> Digest:
        answer = self._get(repository, f"/v2/{repository}/manifests/{quote(tag)}")
        return Digest.of(_content(answer))

    def _pages(self, repository: str, path: str) -> Iterator[dict[str, Any]]:
        while path:
            answer = self._get(repository, path)
            yield decode(_content(answer))
            following = _NEXT.search(answer.headers.get("Link", ""))
            path = following[1] if following else ""

    def _get(
        self,
        repository: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        streamed: bool = False,
        missing: type[SourceError] = SourceError,
    ) -> urllib3.BaseHTTPResponse:
        """Ask the registry, with a token when it wants one.

        :param missing: is raised when the registry has not got it.
        :raises SourceError: it does not answer, or not with what was asked for.
        """
        url = urljoin(f"{self._url}/", path)
        if not url.startswith(f"{self._url}/"):
            raise SourceError(f"the registry leads elsewhere: {url}")
        wanted = {"Accept": _ACCEPT, **(headers or {})}
        answer = self._ask(url, wanted, repository)
        if answer.status == 401:
            answer.drain_conn()
            self._authorization[repository] = self._authorize(answer, repository)
            answer = self._ask(url, wanted, repository)
        if answer.status not in (200, 206):
            answer.drain_conn()
            error = missing if answer.status == 404 else SourceError
            raise error(f"{url}: the registry answers {answer.status}")
        if not streamed and int(answer.headers.get("Content-Length", 0)) > LARGEST:
            raise SourceError(f"{url}: larger than {LARGEST} bytes")
        return answer

    def _ask(
        self, url: str, headers: Mapping[str, str], repository: str = ""
    ) -> urllib3.BaseHTTPResponse:
        sent = dict(headers)
        if self._authorization.get(repository):
            # urllib3 leaves it out where a redirect leads to another host.
            sent["Authorization"] = self._authorization[repository]
        try:
            return self._pool.request("GET", url, headers=sent, preload_content=False)
        except HTTPError as error:
            raise SourceError(f"{url}: {error}") from None

    def _authorize(self, refused: urllib3.BaseHTTPResponse, repository: str) -> str:
        """Return the credentials that a challenge asks for."""
        challenge = refused.headers.get("WWW-Authenticate", "")
        if challenge.lower().startswith("basic") and self._basic:
            return self._basic
        parameters = dict(_PARAMETER.findall(challenge))
        realm = parameters.get("realm", "")
        if not challenge.lower().startswith("bearer") or not realm:
            raise SourceError("the registry wants credentials: give a user")
        query = {"service": parameters.get("service", "")}
        query["scope"] = parameters.get("scope") or f"repository:{repository}:pull"
        headers = {"Authorization": self._basic} if self._basic else {}
        try:
            answer = self._pool.request(
                "GET",
                f"{realm}?{urlencode(query)}",
                headers=headers,
                preload_content=False,
            )
        except HTTPError as error:
            raise SourceError(f"{realm}: {error}") from None
        if answer.status != 200:
            raise SourceError(f"{realm}: no token, the answer is {answer.status}")
        document = decode(_content(answer))
        return f"Bearer {document.get('token') or document.get('access_token')}"


class _Resumed(io.RawIOBase):
    """A body that is asked for again, from where it broke off.

    :param ask: asks for it from an offset.
    """

    def __init__(self, ask: Any) -> None:
        self._ask = ask
        self._offset = 0
        self._left = _RESUMES
        self._answer: urllib3.BaseHTTPResponse | None = ask(0)

    def readable(self) -> bool:
        """Return ``True``."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there."""
        while True:
            try:
                if self._answer is None:
                    self._answer = self._ask(self._offset)
                    if self._offset and self._answer.status != 206:
                        raise SourceError("the registry cannot go on with a blob")
                chunk = self._answer.read(len(buffer))
            except HTTPError as error:
                self._answer = None
                self._left -= 1
                if self._left < 0:
                    raise SourceError(f"a blob broke off: {error}") from None
                continue
            buffer[: len(chunk)] = chunk
            self._offset += len(chunk)
            return len(chunk)

    def close(self) -> None:
        """Let go of the connection."""
        if self._answer is not None:
            self._answer.close()
        super().close()


def _content(answer: urllib3.BaseHTTPResponse) -> bytes:
    try:
        content = answer.read(LARGEST + 1)
    except HTTPError as error:
        raise SourceError(str(error)) from None
    finally:
        answer.release_conn()
    if len(content) > LARGEST:
        raise SourceError(f"more than {LARGEST} bytes")
    return content
