"""The lane and Flask's view: two ways to the endpoints that differ in no byte."""

from __future__ import annotations

import io
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import pytest
from builders import Client
from builders import blob_url
from builders import image
from builders import index
from builders import push_blob
from builders import push_image
from builders import push_manifest
from flask import Flask
from werkzeug.test import EnvironBuilder

from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST


LAYER = bytes(range(256)) * 400
DIGEST = Digest.of(LAYER)
BLOB = blob_url("team/app", DIGEST)
TAGGED = "/v2/team/app/manifests/one"
MISSING = Digest.of(b"missing")


@dataclass(frozen=True)
class Sent:
    """One request of the corpus."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.headers.items())
        return f"{self.method} {self.path} {told}".strip()


CORPUS = [
    *[Sent(method, path) for method in ("GET", "HEAD") for path in (
        "/v2/", "/v2", BLOB, TAGGED, f"/v2/team/app/manifests/{MISSING}",
        "/v2/team/app/manifests/none", blob_url("team/app", MISSING),
        blob_url("other", DIGEST), "/v2/team/app/blobs/sha256:abc",
        "/v2/team/app/manifests/sha256:abc", "/v2/Team/manifests/one",
        "/v2/team//app/manifests/one", "/v2/team%2Fapp/manifests/one",
        "/v2/team/../app/manifests/one", "/v2/%00/manifests/one",
        "/v2/team/app/manifests/one/", f"{BLOB}/", "/v2/team/app/manifests/",
        "/v2/team/app/tags/list", "/v2/team/app/tags/list?n=1", "/v2/_catalog",
        "/v2/none/tags/list", f"/v2/team/app/referrers/{DIGEST}",
        "/v2/team/app/tags/list?n=x", "/v2/nothing", "/v2/team/app",
        f"{BLOB}?ns=docker.io", "/v2/a/blobs/uploads/manifests/b",
        "/v2/team/app/blobs/uploads/00000000-0000-4000-8000-000000000000",
    )],
    *[Sent("GET", BLOB, {"Range": value}) for value in (
        "bytes=0-0", "bytes=10-", "bytes=-10", "bytes=0-999999999", "bytes=5-1",
        "bytes=999999999-", "bytes=x", "lines=1-2", "bytes=0-1,4-5", "bytes=",
        "bytes=0-99999,1-99999", "bytes=-0",
    )],
    Sent("HEAD", BLOB, {"Range": "bytes=0-9"}),
    Sent("GET", BLOB, {"Range": "bytes=0-9", "If-Range": f'"{DIGEST}"'}),
    Sent("GET", BLOB, {"Range": "bytes=0-9", "If-Range": '"other"'}),
    *[Sent("GET", path, {"If-None-Match": value})
      for path in (BLOB, TAGGED) for value in (
        f'"{DIGEST}"', str(DIGEST), f'W/"{DIGEST}"', '"a", "b"', "*",
    )],
    Sent("GET", BLOB, {"If-Match": '"other"'}),
    Sent("GET", BLOB, {"If-Match": f'"{DIGEST}"'}),
    *[Sent("GET", TAGGED, {"Accept": value}) for value in (
        "*/*", "application/*", OCI_MANIFEST, OCI_INDEX, "text/html",
        f"text/html;q=0.5, {OCI_MANIFEST};q=0.1",
    )],
    *[Sent("OPTIONS", path) for path in ("/v2/", BLOB, TAGGED, "/v2/_catalog")],
    *[Sent(method, path) for method in ("POST", "PATCH") for path in (BLOB, TAGGED)],
    Sent("DELETE", "/v2/team/app/tags/list"),
    Sent("PUT", TAGGED, {"Content-Type": OCI_MANIFEST}, b"{}"),
    Sent("PUT", TAGGED, {"Content-Type": "text/plain"}, b"{}"),
    Sent("DELETE", "/v2/team/app/manifests/none"),
    Sent("DELETE", blob_url("team/app", MISSING)),
    Sent("POST", f"/v2/team/app/blobs/uploads/?digest={MISSING}", body=b"other"),
    Sent("POST", f"/v2/new/blobs/uploads/?mount={DIGEST}&from=team/app"),
]  # fmt: skip


@dataclass
class Wrapper:
    """A server's file wrapper, which has to come back untouched."""

    file: Any
    block: int = 0

    def __iter__(self) -> Any:
        return iter(lambda: self.file.read(self.block), b"")

    def close(self) -> None:
        """Close the file, as servers do."""
        self.file.close()


Way = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def lane(app: RegistryApp) -> Way:
    """Return the application as it is."""
    return app.wsgi_app


def flask_alone(app: RegistryApp) -> Way:
    """Return the application without its lane."""
    return lambda environ, start: Flask.wsgi_app(app, environ, start)


def ask(way: Way, sent: Sent) -> tuple[str, list[tuple[str, str]], bytes, bool]:
    """Return status, headers and body, and whether a wrapper came back."""
    environ = EnvironBuilder(
        sent.path, method=sent.method, headers=sent.headers, data=sent.body or None
    ).get_environ()
    environ["RAW_URI"] = environ["REQUEST_URI"] = sent.path
    environ["wsgi.file_wrapper"] = Wrapper
    started: list[Any] = []
    answer = way(environ, lambda *told: started.append(told))
    try:
        body = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    ((status, headers, *_),) = started
    return status, headers, body, isinstance(answer, Wrapper)


@pytest.fixture
def filled(app: RegistryApp) -> RegistryApp:
    """Return an application with an image, an index and a referrer."""
    client = Client(app)
    digest = push_image(client, "team/app", "one", (LAYER,))
    push_blob(client, "team/app", LAYER, "sha512")
    manifest = image(layers=(LAYER,))
    listed = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(manifest)}
    assert push_manifest(client, "team/app", index([listed]), "all").status_code == 201
    referrer = image(subject=listed)
    assert push_manifest(client, "team/app", referrer).status_code == 201
    return app


def comparable(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers without what is random in them, their order kept."""
    return [(name, value.partition("boundary=")[0]) for name, value in headers]


@pytest.mark.parametrize("sent", CORPUS, ids=str)
def test_both_ways_answer_alike(filled: RegistryApp, sent: Sent) -> None:
    """Status, headers in their order, and body are equal; files go untouched."""
    status, headers, body, wrapped = ask(lane(filled), sent)
    other_status, other_headers, other_body, other_wrapped = ask(
        flask_alone(filled), sent
    )
    assert int(status[:3]) == int(other_status[:3])
    assert comparable(headers) == comparable(other_headers)
    assert wrapped == other_wrapped
    if "multipart" not in dict(headers).get("Content-Type", ""):
        assert body == other_body


@pytest.mark.parametrize("sent", [
    Sent("GET", BLOB),
    Sent("GET", BLOB, {"Range": "bytes=5-104"}),
], ids=str)  # fmt: skip
def test_a_file_is_handed_to_the_server(filled: RegistryApp, sent: Sent) -> None:
    """A blob and a part of it come in the server's own wrapper, at the right place."""
    status, headers, body, wrapped = ask(lane(filled), sent)
    assert wrapped
    assert int(dict(headers)["Content-Length"]) == len(body)
    assert body == (LAYER if status.startswith("200") else LAYER[5:105])


def test_unauthorised_requests_answer_alike(
    make_app: Callable[..., RegistryApp],
) -> None:
    """A controller refuses the same on both ways, with the same challenge."""
    parameters = {"realm": "https://auth.example", "service": "registry"}
    app = make_app(auth={"controller": "silly", "parameters": parameters})
    for sent in CORPUS:
        first, other = ask(lane(app), sent), ask(flask_alone(app), sent)
        assert first[0][:3] == other[0][:3]
        assert first[1:] == other[1:]


def test_a_server_without_a_wrapper_gets_an_iterable(filled: RegistryApp) -> None:
    """Bodies come in pieces, and are closed."""
    environ = EnvironBuilder(BLOB).get_environ()
    environ.pop("wsgi.file_wrapper", None)
    answer = filled.wsgi_app(environ, lambda *_: None)
    assert b"".join(answer) == LAYER
    answer.close()  # type: ignore[attr-defined]


def test_what_is_not_of_the_api_is_left_to_flask(app: RegistryApp) -> None:
    """The lane answers nothing beside the API, and takes no input for it."""
    sent = Sent("GET", "/")
    status, headers, body, _ = ask(lane(app), sent)
    assert (status, body) == ("200 OK", b"")
    assert dict(headers)["Cache-Control"] == "no-cache"
    assert isinstance(io.BytesIO(body).read(), bytes)
