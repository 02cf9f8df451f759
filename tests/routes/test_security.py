"""What went wrong elsewhere: advisories of other registries, as tests of this one."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp
from builders import call
from builders import descriptor
from builders import encode
from builders import image
from builders import index
from builders import make_environ
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import refused
from builders import send
from builders import start
from builders import uploads_url
from builders import with_digest
from werkzeug.test import TestResponse

from flaskreg import hookimpl
from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.errors import Denied
from flaskreg.errors import Unauthorized
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.routes.endpoints import ENDPOINTS


CONTENT = b"content"
DIGEST = Digest.of(CONTENT)
MANIFEST = Digest.of(image(layers=[b"layer"]))
SESSION = "0189f1b0-0000-4000-8000-000000000000"

PATHS = {
    "base": "/v2/",
    "catalog": "/v2/_catalog",
    "tags": "/v2/app/tags/list",
    "referrers": f"/v2/app/referrers/{DIGEST}",
    "manifest": "/v2/app/manifests/latest",
    "blob": f"/v2/app/blobs/{DIGEST}",
    "uploads": "/v2/app/blobs/uploads/",
    "upload": f"/v2/app/blobs/uploads/{SESSION}",
}


# Numbers (CVE-2023-2253)


@pytest.mark.parametrize("path", [PATHS["catalog"], PATHS["tags"], PATHS["referrers"]])
@pytest.mark.parametrize(
    "number",
    [
        "9" * 10_000,
        "9" * 19,
        "-1",
        "1e9",
        "0x10",
        "1_000",
        "%20",
        "%D9%A1",
        "1.0",
        "+1",
    ],
)
def test_a_number_that_is_none_is_refused_at_once(
    client: Client, path: str, number: str
) -> None:
    """Python itself takes long for thousands of digits, and other digits for digits."""
    push_image(client, "app", "latest")
    begin = time.monotonic()
    refused(client.get(f"{path}?n={number}"), 400, "PAGINATION_NUMBER_INVALID")
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("path", [PATHS["tags"], PATHS["referrers"]])
def test_a_huge_number_is_clamped(client: Client, path: str) -> None:
    """Nothing is allocated for it."""
    push_image(client, "app", "latest")
    response = client.get(f"{path}?n={10**17}")
    assert response.status_code == 200
    assert "Link" not in response.headers


# Manifests that two readers read differently (CVE-2021-41190 and kin)


AMBIGUOUS = {
    "both shapes as an image": (
        OCI_MANIFEST,
        image(manifests=[descriptor(b"x", OCI_MANIFEST)]),
    ),
    "both shapes as an index": (
        OCI_INDEX,
        index(layers=[descriptor(b"x")], config=descriptor(b"{}")),
    ),
    "an index that has a configuration": (OCI_INDEX, index(config=descriptor(b"{}"))),
    "pushed as another type": (OCI_INDEX, image()),
    "stated as another type": (
        OCI_MANIFEST,
        encode({**json.loads(image()), "mediaType": OCI_INDEX}),
    ),
    "a member twice": (OCI_MANIFEST, image()[:-1] + b',"layers":[]}'),
    "a member twice, deep": (
        OCI_MANIFEST,
        image()[:-1] + b',"x":[{"a":{"b":1,"b":2}}]}',
    ),
    "a member twice, by escapes": (
        OCI_MANIFEST,
        image()[:-1] + b',"\\u006cayers":[]}',
    ),
    "something after its end": (OCI_MANIFEST, image() + b"{}"),
    "another encoding": (OCI_MANIFEST, image().decode().encode("utf-16")),
    "a number that is none": (OCI_MANIFEST, image()[:-1] + b',"x":NaN}'),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_manifest_is_refused(client: Client, name: str) -> None:
    """And is not there afterwards, under any name."""
    media_type, content = AMBIGUOUS[name]
    push_blob(client, "app", b"{}")
    push_blob(client, "app", b"x")
    response = push_manifest(client, "app", content, "latest", media_type)
    refused(response, 400, "MANIFEST_INVALID")
    assert client.get(PATHS["manifest"]).status_code == 404
    assert client.get(f"/v2/app/manifests/{Digest.of(content)}").status_code == 404


@pytest.mark.parametrize("accept", [None, "*/*", OCI_MANIFEST, OCI_INDEX])
def test_the_type_served_is_the_type_pushed(client: Client, accept: str | None) -> None:
    """Whatever the client would like to read it as."""
    push_image(client, "app", "latest")
    headers = {"Accept": accept} if accept else {}
    response = client.get(PATHS["manifest"], headers=headers)
    if response.status_code == 200:
        assert response.content_type == OCI_MANIFEST
    else:
        assert accept == OCI_INDEX
        refused(response, 404, "MANIFEST_UNKNOWN")


# Text that cannot be sent


SURROGATE = b'"\\ud800"'


@pytest.mark.parametrize(
    "content",
    [
        image(annotations={"a": "@"}),
        image(artifactType="@"),
        image(layers=[], config_type="@"),
        index([descriptor(b"x", OCI_MANIFEST, urls=["@"])]),
        index([descriptor(b"x", OCI_MANIFEST, annotations={"a": "@"})]),
        image(mediaType="@"),
        image(schemaVersion="@"),
        encode({**json.loads(image()), "layers": [{"size": 1, "digest": "@"}]}),
        image(x={"@": 1, "y": {"@": 2}}),
    ],
    ids=[
        "annotations",
        "artifact type",
        "configuration's type",
        "url",
        "child's annotations",
        "media type",
        "schema version",
        "digest",
        "member's name",
    ],
)
def test_half_a_character_breaks_nothing(client: Client, content: bytes) -> None:
    """JSON can hold what UTF-8 cannot: it is refused or served, and never a 500."""
    push_blob(client, "app", b"{}")
    subject = descriptor(b"subject", OCI_MANIFEST)
    document = {**json.loads(content), "subject": subject}
    content = encode(document).replace(b'"@"', SURROGATE)
    for media_type in (OCI_MANIFEST, OCI_INDEX):
        response = push_manifest(client, "app", content, "latest", media_type)
        assert response.status_code in {201, 400}, response.text
    response = client.get(f"/v2/app/referrers/{subject['digest']}")
    assert response.status_code == 200
    json.loads(response.data)


# Size (CVE-2017-11468, CVE-2020-1702)


class Endless:
    """A body that never ends, and counts what is read of it."""

    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        self.taken = 0

    def read1(self, size: int = -1) -> bytes:
        """Return as much as is asked for."""
        chunk = self.piece[:size]
        self.taken += len(chunk)
        return chunk

    read = read1


@pytest.mark.parametrize("stated", ["chunked", "lying", "honest"])
def test_a_giant_manifest_is_not_read(make_app: MakeApp, stated: str) -> None:
    """413 after the limit and a piece, with a length, without one, or a false one."""
    limit = 1 << 20
    app = make_app(manifests={"maxbytes": limit})
    body = Endless(b" " * (8 << 20))
    headers = {"Content-Type": OCI_MANIFEST}
    if stated == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers["Content-Length"] = str(limit if stated == "lying" else 10**15)
    target = "/v2/app/manifests/latest"
    environ = make_environ("PUT", target, headers)
    answer = call(app, {**environ, "wsgi.input": body})
    if stated == "lying":
        assert (answer.code, answer.codes()) == (400, ["MANIFEST_INVALID"])
    else:
        assert (answer.code, answer.codes()) == (413, ["SIZE_INVALID"])
    assert body.taken <= (0 if stated == "honest" else limit + (1 << 20))


@pytest.mark.parametrize(
    "content",
    [b"[" * 1_000_000, b'{"a":' * 500_000, b'{"schemaVersion":2,"a":' + b"[" * 200],
)
def test_a_deep_manifest_is_refused(client: Client, content: bytes) -> None:
    """Before anything recurses into it."""
    response = push_manifest(client, "app", content, "latest", OCI_MANIFEST)
    refused(response, 400, "MANIFEST_INVALID")


def test_a_manifest_of_many_parts_is_refused(client: Client) -> None:
    """Looking for each of a million layers would take a thread for long."""
    part = descriptor(b"x")
    content = image()[:-2] + b",".join([encode(part)] * 10_001) + b"]}"
    response = push_manifest(client, "app", content, "latest", OCI_MANIFEST)
    refused(response, 400, "MANIFEST_INVALID")


def test_integers_of_many_digits_are_refused(client: Client) -> None:
    """Python refuses to read them, which is the client's error."""
    content = image()[:-1] + b',"x":' + b"9" * 10_000 + b"}"
    response = push_manifest(client, "app", content, "latest", OCI_MANIFEST)
    refused(response, 400, "MANIFEST_INVALID")


# One repository through another (CVE-2024-39897, CVE-2026-35172, CVE-2026-32589)


def test_nothing_of_another_repository_is_reachable(client: Client) -> None:
    """By no endpoint: blobs, manifests, referrers, tags, mounts, sessions."""
    subject = descriptor(image(layers=[b"layer"]), OCI_MANIFEST)
    digest = push_image(client, "private", "latest")
    push_manifest(client, "private", image(subject=subject), "about")
    location = start(client, "private")
    session = location.partition("?")[0].rpartition("/")[2]
    query = location.partition("?")[2]
    push_image(client, "public", "other", layers=(b"other",))
    base = "/v2/public"
    blob = Digest.of(b"layer")
    for path in (
        f"blobs/{blob}",
        f"manifests/{digest}",
        "manifests/latest",
        f"blobs/{digest}",
        f"manifests/{blob}",
        f"blobs/uploads/{session}?{query}",
    ):
        for method in ("GET", "HEAD", "DELETE"):
            response = client.open(f"{base}/{path}", method=method)
            assert response.status_code == 404, f"{method} {path}"
    document = client.get(f"{base}/referrers/{digest}").json
    assert document is not None
    assert document["manifests"] == []
    assert client.get(f"{base}/tags/list").json == {"name": "public", "tags": ["other"]}
    for method in ("PATCH", "PUT"):
        url = with_digest(f"{base}/blobs/uploads/{session}?{query}", blob)
        response = client.open(url, method=method, data=b"layer")
        assert response.status_code == 404
    response = push_manifest(client, "public", image(layers=[b"layer"]), "stolen")
    refused(response, 400, "MANIFEST_BLOB_UNKNOWN")
    assert client.get(f"/v2/private/manifests/{digest}").status_code == 200
    assert client.get(location).status_code == 204


@pytest.mark.parametrize("cache", ["inmemory", "none"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_was_deleted_stays_deleted(
    make_app: MakeApp, cache: str, algorithm: str
) -> None:
    """A read in B, in any worker, does not make it readable in A again."""
    storage = {"cache": {"blobdescriptor": cache}}
    first = make_app(storage=storage)
    second = make_app((GivenDriver(first.driver),), storage=storage)
    clients = [Client(first), Client(second)]
    digest = Digest.of(CONTENT, algorithm)
    for name in ("a", "b"):
        push_blob(clients[0], name, CONTENT, algorithm)
        push_image(clients[0], name, "latest")
    for each, name in itertools.product(clients, "ab"):
        assert each.get(f"/v2/{name}/blobs/{digest}").status_code == 200
        assert each.get(f"/v2/{name}/manifests/{MANIFEST}").status_code == 200
    assert clients[0].delete(f"/v2/a/blobs/{digest}").status_code == 202
    assert clients[0].delete(f"/v2/a/manifests/{MANIFEST}").status_code == 202
    for each in clients:
        for tail in (f"blobs/{digest}", f"manifests/{MANIFEST}", "manifests/latest"):
            assert each.get(f"/v2/b/{tail}").status_code == 200
            for method in ("GET", "HEAD"):
                response = each.open(f"/v2/a/{tail}", method=method)
                assert response.status_code == 404


# Rights (GHSA-qg67-7m6v-qg25)


class Exactly(AccessController):
    """Lets a request do what its header lists, and lets nobody in without one."""

    def __init__(self) -> None:
        self.asked: list[tuple[Access, ...]] = []

    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Allow all or none."""
        self.asked.append(tuple(accesses))
        said = headers.get("Authorization")
        if said is None:
            raise Unauthorized('Basic realm="r"')
        rights = set(said.split())
        for access in accesses:
            if f"{access.name}:{access.action}" not in rights:
                raise Denied
        return Grant(Principal("somebody"), tuple(accesses))


#: what each method of each endpoint needs, as distribution asks for it.
NEEDS: dict[str, dict[str, list[str]]] = {
    "base": {"GET": [], "HEAD": []},
    "catalog": {"GET": ["catalog:*"], "HEAD": ["catalog:*"]},
    "tags": {"GET": ["app:pull"], "HEAD": ["app:pull"]},
    "referrers": {"GET": ["app:pull"], "HEAD": ["app:pull"]},
    "manifest": {
        "GET": ["app:pull"],
        "HEAD": ["app:pull"],
        "PUT": ["app:pull", "app:push"],
        "DELETE": ["app:delete"],
    },
    "blob": {"GET": ["app:pull"], "HEAD": ["app:pull"], "DELETE": ["app:delete"]},
    "uploads": {"POST": ["app:pull", "app:push"]},
    "upload": {
        "GET": ["app:pull"],
        "HEAD": ["app:pull"],
        "PATCH": ["app:pull", "app:push"],
        "PUT": ["app:pull", "app:push"],
        "DELETE": ["app:delete"],
    },
}


class Authorized(Client):
    """A client that says with each request who it is."""

    authorization = ""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request."""
        headers = {**kwargs.pop("headers", {}), "Authorization": self.authorization}
        return super().open(*args, headers=headers, **kwargs)


def guarded(make_app: MakeApp) -> tuple[RegistryApp, Exactly]:
    """Return an application with that controller, and the controller."""
    controller = Exactly()

    class Plugin:
        @hookimpl
        def flaskreg_make_access_controller(self) -> AccessController:
            return controller

    return make_app((Plugin(),)), controller


def test_every_method_of_every_endpoint_has_its_rights() -> None:
    """The table is complete: a new endpoint or method is written into it."""
    assert {name: set(each) for name, each in NEEDS.items()} == {
        name: set(each) for name, each in ENDPOINTS.items()
    }


def test_the_table_of_rights(make_app: MakeApp) -> None:
    """No other set of rights than the needed one, or a larger one, is enough."""
    app, controller = guarded(make_app)
    client = Client(app)
    actions = ["app:pull", "app:push", "app:delete", "catalog:*"]
    every = [
        set(rights)
        for count in range(len(actions) + 1)
        for rights in itertools.combinations(actions, count)
    ]
    for endpoint, methods in NEEDS.items():
        for method, needed in methods.items():
            for rights in every:
                response = client.open(
                    PATHS[endpoint],
                    method=method,
                    headers={"Authorization": " ".join(sorted(rights))},
                )
                enough = set(needed) <= rights
                assert (response.status_code != 403) == enough, (method, rights)
                told = [f"{each.name}:{each.action}" for each in controller.asked[-1]]
                assert sorted(told) == sorted(needed)
            assert client.open(PATHS[endpoint], method=method).status_code == 401


def test_rights_on_another_repository_are_none(make_app: MakeApp) -> None:
    """Each request needs its own."""
    client = Client(guarded(make_app)[0])
    headers = {"Authorization": "other:pull other:push other:delete"}
    assert client.get(PATHS["tags"], headers=headers).status_code == 403
    assert client.post(PATHS["uploads"], headers=headers).status_code == 403
    assert client.delete(PATHS["manifest"], headers=headers).status_code == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE", "TRACE"])
def test_a_request_without_rights_reads_no_body_and_no_storage(
    make_app: MakeApp, method: str
) -> None:
    """It is answered from its head (W3, W4)."""
    app, _ = guarded(make_app)
    body = Endless(b"x" * 1000)
    for endpoint in ("manifest", "uploads", "upload"):
        headers = {"Content-Length": "1000000"}
        environ = make_environ(method, PATHS[endpoint], headers)
        answer = call(app, {**environ, "wsgi.input": body})
        assert answer.code in {401, 405}
        assert answer.codes()
    assert body.taken == 0


def test_a_mount_needs_a_pull_of_its_source(make_app: MakeApp) -> None:
    """With ``from`` it is asked for, without it is looked for where one may pull."""
    client = Authorized(guarded(make_app)[0])
    all_rights = "a:pull a:push b:pull b:push"
    client.authorization = all_rights
    push_blob(client, "a", CONTENT)
    push_manifest(client, "a", index(), "latest")
    for rights, with_from, without in (
        ("b:pull b:push", 403, 202),
        ("b:pull b:push a:push", 403, 202),
        ("b:pull b:push a:pull", 201, 201),
    ):
        for query, status in (({"from": "a"}, with_from), ({}, without)):
            client.authorization = rights
            response = client.post(uploads_url("b", mount=DIGEST, **query))
            assert response.status_code == status, (rights, query)
            client.authorization = all_rights + " b:delete"
            client.delete(f"/v2/b/blobs/{DIGEST}")


@pytest.mark.parametrize("source", ["A", "a//b", "../a", "a%2Fb", ""])
def test_a_source_that_is_no_name_is_not_asked_for(
    make_app: MakeApp, source: str
) -> None:
    """The push goes on as if there were none, and no such scope is made."""
    app, controller = guarded(make_app)
    client = Authorized(app)
    client.authorization = "b:pull b:push"
    response = client.post(uploads_url("b", **{"mount": DIGEST, "from": source}))
    assert response.status_code == 202
    assert {each.name for asked in controller.asked for each in asked} == {"b"}


def test_a_session_belongs_to_its_principal(make_app: MakeApp) -> None:
    """Somebody else cannot look at it, go on with it or cancel it."""

    class Named(AccessController):
        def authorize(
            self, headers: Mapping[str, str], accesses: Sequence[Access]
        ) -> Grant:
            return Grant(Principal(headers.get("Authorization", "")), tuple(accesses))

    class Plugin:
        @hookimpl
        def flaskreg_make_access_controller(self) -> AccessController:
            return Named()

    client = Authorized(make_app((Plugin(),)))
    client.authorization = "alice"
    location = start(client, "app")
    for stranger in ("bob", ""):
        client.authorization = stranger
        for method in ("GET", "HEAD", "PATCH", "PUT", "DELETE"):
            response = client.open(with_digest(location, DIGEST), method=method)
            assert response.status_code == 404, method
    client.authorization = "alice"
    response = client.put(with_digest(location, DIGEST), data=CONTENT)
    assert response.status_code == 201


# What is never fetched, followed or told


@pytest.mark.parametrize("member", ["urls", "subject", "annotations"])
def test_nothing_that_a_manifest_points_at_is_fetched(
    client: Client, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection is made for a push (SSRF)."""
    import socket

    def connect(*arguments: Any) -> None:
        raise AssertionError(f"a connection to {arguments}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    url = "http://169.254.169.254/latest"
    layer = descriptor(
        b"far away",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        urls=[url],
    )
    push_blob(client, "app", b"{}")
    members: dict[str, Any] = {
        "urls": {"layers": [layer]},
        "subject": {"subject": {**descriptor(b"x", OCI_MANIFEST), "urls": [url]}},
        "annotations": {"annotations": {"org.opencontainers.image.url": url}},
    }
    content = encode({**json.loads(image()), **members[member]})
    response = push_manifest(client, "app", content, "latest")
    assert response.status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example"},
        {"X-Forwarded-Prefix": "//evil.example"},
    ],
)
def test_no_location_leads_to_another_host(
    app: RegistryApp, headers: dict[str, str]
) -> None:
    """By default they have none, and a path never begins with two slashes."""
    for target in ("/v2/app/blobs/uploads/", "//evil.example/v2/app/blobs/uploads/"):
        answer = send(app, "POST", target, headers)
        location = answer.header("Location")
        if location is not None:
            assert location.startswith("/v2/")
            assert "evil" not in location
        else:
            assert answer.code == 404


@pytest.mark.parametrize("path", ["app%0d%0aX-Evil:%201", "app%0aX", "app\r\nX: y"])
def test_no_header_can_be_split(app: RegistryApp, path: str) -> None:
    """No part of a request with a line break becomes a header of the answer."""
    for target in (f"/v2/{path}/blobs/uploads/", f"/v2/app/tags/list?last={path}&n=1"):
        answer = send(app, "POST" if "uploads" in target else "GET", target)
        assert answer.header("X-Evil") is None


def test_an_upload_state_is_no_code(client: Client) -> None:
    """It is JSON under a signature, and is not looked at without one."""
    location = start(client, "app").partition("?")[0]
    for state in ("gASVKAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOU", "eyJOYW1lIjoiYXBwIn0="):
        response = client.patch(f"{location}?_state={state}", data=b"x")
        refused(response, 404, "BLOB_UPLOAD_INVALID")
