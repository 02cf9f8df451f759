"""Pushing blobs over HTTP: whole, in chunks, resumed, mounted, cancelled."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import pytest
from builders import ALGORITHMS
from builders import Client
from builders import GivenDriver
from builders import blob_url
from builders import push_blob
from builders import refused
from builders import start
from builders import uploads_url
from builders import with_digest
from werkzeug.test import TestResponse

from flaskreg.app import RegistryApp
from flaskreg.digest import Digest


MakeApp = Callable[..., RegistryApp]

CONTENT = bytes(range(256)) * 40
DIGEST = Digest.of(CONTENT)
OTHER = Digest.of(b"other")


@pytest.fixture(params=["", "shared"], ids=["promised", "stored"])
def secret(request: pytest.FixtureRequest) -> str:
    """Return ``http.secret``: where it is set, sessions are stored from the start."""
    value: str = request.param
    return value


@pytest.fixture
def app(make_app: MakeApp, secret: str) -> RegistryApp:
    """Return an application whose sessions are promised, or stored."""
    return make_app(http={"secret": secret})


@pytest.fixture
def other_app(make_app: MakeApp, app: RegistryApp, secret: str) -> RegistryApp:
    """Return an application on the storage of :func:`app`, as another worker has."""
    return make_app((GivenDriver(app.driver),), http={"secret": secret})


def patch(
    client: Client, location: str, chunk: bytes, at: int | None = None
) -> TestResponse:
    """Send a chunk, with its range when *at* is given."""
    headers = {}
    if at is not None:
        headers["Content-Range"] = f"{at}-{at + len(chunk) - 1}"
    return client.patch(location, data=chunk, headers=headers)


def pulled(client: Client, name: str, digest: str) -> bytes:
    """Return a blob."""
    response = client.get(blob_url(name, digest))
    assert response.status_code == 200
    return response.data


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_post_then_put(client: Client, algorithm: str) -> None:
    """A blob comes back by the digest that it was pushed by."""
    digest = Digest.of(CONTENT, algorithm)
    response = client.put(with_digest(start(client, "a/b"), digest), data=CONTENT)
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == digest
    assert response.headers["Location"] == blob_url("a/b", digest)
    assert pulled(client, "a/b", digest) == CONTENT


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_single_post(client: Client, algorithm: str) -> None:
    """One request is enough (end-4b)."""
    digest = Digest.of(CONTENT, algorithm)
    response = client.post(uploads_url("a", digest=digest), data=CONTENT)
    assert response.status_code == 201
    assert pulled(client, "a", digest) == CONTENT


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("last_in_put", [True, False])
def test_chunks(
    client: Client, algorithm: str, announced: bool, last_in_put: bool
) -> None:
    """Chunks in order make the blob; each answer tells how much has arrived."""
    digest = Digest.of(CONTENT, algorithm)
    query = {"digest-algorithm": algorithm} if announced else {}
    location = start(client, "a", **query)
    pieces = [(0, CONTENT[:3000]), (3000, CONTENT[3000:7000])]
    if not last_in_put:
        pieces.append((7000, CONTENT[7000:]))
    for at, piece in pieces:
        response = patch(client, location, piece, at)
        assert response.status_code == 202
        assert response.headers["Range"] == f"0-{at + len(piece) - 1}"
        location = response.headers["Location"]
    last = CONTENT[7000:] if last_in_put else b""
    headers = {"Content-Range": f"7000-{len(CONTENT) - 1}"} if last else {}
    response = client.put(with_digest(location, digest), data=last, headers=headers)
    assert response.status_code == 201
    assert pulled(client, "a", digest) == CONTENT


def test_stream(client: Client) -> None:
    """A chunk without a range goes where the session ends."""
    response = patch(client, start(client, "a"), CONTENT)
    assert response.status_code == 202
    location = response.headers["Location"]
    assert client.put(with_digest(location, DIGEST)).status_code == 201


def test_status(client: Client) -> None:
    """GET and HEAD tell the offset and a URL to go on at, without a state."""
    location = start(client, "a")
    assert client.get(location).headers["Range"] == "0-0"
    patch(client, location, CONTENT[:100])
    for method in (client.get, client.head):
        response = method(urlsplit(location).path)
        assert response.status_code == 204
        assert response.headers["Range"] == "0-99"
        assert response.data == b""
    response = patch(client, response.headers["Location"], CONTENT[100:])
    assert response.status_code == 202


def test_cancel(client: Client) -> None:
    """A cancelled session is gone, whatever is tried with it."""
    location = start(client, "a")
    patch(client, location, CONTENT)
    assert client.delete(location).status_code == 204
    for answer in (
        client.get(location),
        patch(client, location, b"x"),
        client.put(with_digest(location, DIGEST)),
        client.delete(location),
    ):
        refused(answer, 404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("at", [0, 99, 101, 5000])
def test_out_of_order(client: Client, at: int) -> None:
    """A chunk that does not begin where the content ends is 416 and changes nothing."""
    location = patch(client, start(client, "a"), CONTENT[:100], 0).headers["Location"]
    response = patch(client, location, b"x" * 50, at)
    refused(response, 416, "RANGE_INVALID")
    assert response.headers["Range"] == "0-99"
    assert response.headers["Location"] == client.get(location).headers["Location"]
    closing = client.put(
        with_digest(location, DIGEST),
        data=b"y" * 50,
        headers={"Content-Range": f"{at}-{at + 49}"},
    )
    refused(closing, 416, "RANGE_INVALID")
    location = client.get(location).headers["Location"]
    response = client.put(with_digest(location, DIGEST), data=CONTENT[100:])
    assert response.status_code == 201


def test_first_chunk_out_of_order(client: Client) -> None:
    """A first chunk has to begin at 0."""
    refused(patch(client, start(client, "a"), b"x", 1), 416, "RANGE_INVALID")


def test_stale_state_without_a_range(client: Client) -> None:
    """A stream to an old URL cannot tell where it belongs."""
    location = start(client, "a")
    assert patch(client, location, CONTENT[:10]).status_code == 202
    refused(patch(client, location, CONTENT[10:]), 416, "RANGE_INVALID")


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        ("bytes 0-9", 416, "RANGE_INVALID"),
        ("0-", 416, "RANGE_INVALID"),
        ("9-0", 416, "RANGE_INVALID"),
        ("x", 416, "RANGE_INVALID"),
        ("0-4", 400, "SIZE_INVALID"),
        ("0-" + "9" * 30, 416, "RANGE_INVALID"),
    ],
)
def test_malformed_ranges(client: Client, value: str, status: int, code: str) -> None:
    """A range that is none, or not that of the body, is refused in the API's form."""
    headers = {"Content-Range": value}
    response = client.patch(start(client, "a"), data=b"0123456789", headers=headers)
    refused(response, status, code)


@pytest.mark.parametrize("digest", ["", "sha256:abc", "md5:" + "0" * 32, "x"])
def test_digest_that_is_none(client: Client, digest: str) -> None:
    """A closing request needs a digest; the session is kept."""
    location = patch(client, start(client, "a"), CONTENT).headers["Location"]
    refused(client.put(with_digest(location, digest)), 400, "DIGEST_INVALID")
    assert client.put(with_digest(location, DIGEST)).status_code == 201


def test_wrong_digest(client: Client) -> None:
    """Content of another digest is never stored; the session can be closed right."""
    location = start(client, "a")
    response = client.put(with_digest(location, OTHER), data=CONTENT)
    refused(response, 400, "DIGEST_INVALID")
    for digest in (OTHER, DIGEST):
        refused(client.get(blob_url("a", digest)), 404, "BLOB_UNKNOWN")
    location = client.get(location).headers["Location"]
    assert client.put(with_digest(location, DIGEST)).status_code == 201
    refused(
        client.post(uploads_url("a", digest=OTHER), data=CONTENT), 400, "DIGEST_INVALID"
    )


def test_unknown_algorithm(client: Client) -> None:
    """An algorithm that is not kept is refused when it is announced."""
    response = client.post("/v2/a/blobs/uploads/?digest-algorithm=md5")
    refused(response, 400, "DIGEST_INVALID")


def test_empty_blob(client: Client) -> None:
    """A blob may have no bytes at all."""
    digest = push_blob(client, "a", b"")
    assert pulled(client, "a", digest) == b""


def test_same_blob_again(client: Client) -> None:
    """Every committer is told that it is there."""
    for name in ("a", "b", "a"):
        push_blob(client, name, CONTENT)


def test_sessions_belong_to_their_repository(client: Client) -> None:
    """A session of one repository is unknown in another."""
    location = start(client, "team/a")
    foreign = location.replace("/team/a/", "/team/b/")
    refused(client.get(urlsplit(foreign).path), 404, "BLOB_UPLOAD_UNKNOWN")
    for answer in (patch(client, foreign, b"x"), client.delete(foreign)):
        refused(answer, 404, "BLOB_UPLOAD_INVALID")
    assert client.get(location).status_code == 204


@pytest.mark.parametrize("state", ["", "x", "AAAA", "%00", "a" * 9000])
def test_forged_state(client: Client, state: str) -> None:
    """A state that was not made here is refused."""
    path = urlsplit(start(client, "a")).path
    response = client.patch(f"{path}?_state={state}", data=b"x")
    refused(response, 404, "BLOB_UPLOAD_INVALID")


@pytest.mark.parametrize(
    "session", ["none", "..", "00000000-0000-0000-0000-000000000000"]
)
def test_unknown_session(client: Client, session: str) -> None:
    """An id that was never given is unknown, whatever its form."""
    response = client.get(f"/v2/a/blobs/uploads/{session}")
    assert response.status_code in (400, 404)


def test_state_is_in_the_form_of_distribution(make_app: MakeApp) -> None:
    """HMAC and document in one base64 text, with distribution's members."""
    client = Client(make_app(http={"secret": "shared"}))
    location = patch(client, start(client, "a"), CONTENT[:10]).headers["Location"]
    token = parse_qs(urlsplit(location).query)["_state"][0]
    document = json.loads(urlsplit_state(token))
    assert document.keys() == {"Name", "UUID", "Offset", "StartedAt"}
    assert (document["Name"], document["Offset"]) == ("a", 10)


def urlsplit_state(token: str) -> bytes:
    """Return the document of a state token."""
    return urlsafe_b64decode(token)[32:]


def test_workers_share_sessions(client: Client, other_client: Client) -> None:
    """Chunks of one session may reach different workers, without any secret set."""
    location = start(client, "a")
    clients = [other_client, client]
    for number in range(4):
        piece = CONTENT[number * 100 : number * 100 + 100]
        response = patch(clients[number % 2], location, piece, number * 100)
        assert response.status_code == 202
        location = response.headers["Location"]
    digest = Digest.of(CONTENT[:400])
    assert other_client.put(with_digest(location, digest)).status_code == 201
    assert pulled(client, "a", digest) == CONTENT[:400]


def test_mount(client: Client) -> None:
    """A blob of another repository is mounted, by any of its digests."""
    digest = push_blob(client, "from", CONTENT, "sha512")
    query = {"mount": digest, "from": "from"}
    response = client.post(uploads_url("to", **query))
    assert response.status_code == 201
    assert response.headers["Location"] == blob_url("to", digest)
    assert pulled(client, "to", digest) == CONTENT


@pytest.mark.parametrize(
    "query",
    [
        {"mount": OTHER, "from": "from"},
        {"mount": DIGEST, "from": "nowhere"},
        {"mount": DIGEST, "from": "NO"},
        {"mount": "x", "from": "from"},
        {"from": "from"},
    ],
)
def test_mount_that_cannot_be(client: Client, query: dict[str, str]) -> None:
    """What cannot be mounted is a plain start of a session."""
    push_blob(client, "from", CONTENT)
    assert client.post(uploads_url("to", **query)).status_code == 202
    refused(client.get(blob_url("to", DIGEST)), 404, "BLOB_UNKNOWN")


def test_mount_without_from(make_app: MakeApp) -> None:
    """A blob is found wherever the caller may pull it, within the configured search."""
    client = Client(make_app())
    push_blob(client, "some/where", CONTENT)
    assert client.post(uploads_url("to", mount=DIGEST)).status_code == 201
    assert client.post(uploads_url("to", mount=OTHER)).status_code == 202
    client.delete(blob_url("some/where", DIGEST))
    client.delete(blob_url("to", DIGEST))
    assert client.post(uploads_url("new", mount=DIGEST)).status_code == 202
    client = Client(make_app(uploads={"mountsearch": 0}))
    push_blob(client, "some/where", CONTENT)
    assert client.post(uploads_url("to", mount=DIGEST)).status_code == 202


def test_chunk_minimum(make_app: MakeApp) -> None:
    """A configured minimum is told when a session starts."""
    client = Client(make_app(uploads={"chunkminlength": 4096}))
    response = client.post(uploads_url("a"))
    assert response.headers["OCI-Chunk-Min-Length"] == "4096"


def test_deleted_blob_is_gone_by_each_digest(client: Client) -> None:
    """A delete by one digest is a delete by all of them, and in no other repository."""
    for algorithm in ALGORITHMS:
        digest = push_blob(client, "a", CONTENT, algorithm)
        push_blob(client, "b", CONTENT)
        assert client.delete(blob_url("a", digest)).status_code == 202
        for gone in (digest, DIGEST):
            refused(client.get(blob_url("a", gone)), 404, "BLOB_UNKNOWN")
        assert pulled(client, "b", DIGEST) == CONTENT
        refused(client.get(blob_url("a", DIGEST)), 404, "BLOB_UNKNOWN")


def test_deletes_switched_off(make_app: MakeApp) -> None:
    """Without the setting every delete is 405."""
    client = Client(make_app(storage={"delete": {"enabled": False}}))
    push_blob(client, "a", CONTENT)
    refused(client.delete(blob_url("a", DIGEST)), 405, "UNSUPPORTED")
    assert pulled(client, "a", DIGEST) == CONTENT
