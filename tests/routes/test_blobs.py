"""Blobs over HTTP: whole, in parts, under conditions, and not at all."""

from __future__ import annotations

import email
from email.message import Message
from typing import Any

import pytest
from builders import ALGORITHMS
from builders import Client
from builders import FileWrapper
from builders import GivenDriver
from builders import MakeApp
from builders import WatchedDriver
from builders import blob_url
from builders import call
from builders import make_environ
from builders import push_blob
from builders import refused
from builders import send
from builders import tree

from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.routes.bulk import SMALL
from flaskreg.storage import paths


CONTENT = bytes(range(250)) * 40
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)
URL = blob_url("team/app", DIGEST)


def ignore(*_arguments: Any) -> Any:
    """Take status and headers of an answer, and do nothing with them."""


@pytest.fixture(autouse=True)
def pushed(client: Client) -> None:
    """Push the content."""
    push_blob(client, "team/app", CONTENT)


# Whole


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob(client: Client, app: RegistryApp, algorithm: str, method: str) -> None:
    """It is served as an octet stream under the digest that was asked for."""
    digest = push_blob(client, "team/app", CONTENT, algorithm)
    answer = send(app, method, blob_url("team/app", digest))
    assert answer.status == "200 OK"
    assert answer.headers == [
        ("Content-Type", "application/octet-stream"),
        ("Docker-Content-Digest", digest),
        ("Etag", f'"{digest}"'),
        ("Cache-Control", "max-age=31536000"),
        ("Accept-Ranges", "bytes"),
        ("Content-Length", str(SIZE)),
        ("Docker-Distribution-Api-Version", "registry/2.0"),
    ]
    assert answer.body == (CONTENT if method == "GET" else b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize(
    ("digest", "status", "code"),
    [
        (Digest.of(b"other"), 404, "BLOB_UNKNOWN"),
        (Digest.of(CONTENT, "sha512"), 404, "BLOB_UNKNOWN"),
        ("sha256:abc", 400, "DIGEST_INVALID"),
        ("md5:" + "0" * 32, 400, "DIGEST_INVALID"),
        ("latest", 400, "DIGEST_INVALID"),
        (DIGEST.upper(), 400, "DIGEST_INVALID"),
    ],
)
def test_no_blob(
    client: Client, digest: str, status: int, code: str, method: str
) -> None:
    """An unknown digest is not found, and a malformed one is wrong."""
    response = client.open(blob_url("team/app", digest), method=method)
    if method == "HEAD":
        assert (response.status_code, response.data) == (status, b"")
    else:
        refused(response, status, code)


def test_an_empty_blob(client: Client) -> None:
    """It has a length, and no range of it can be satisfied."""
    digest = push_blob(client, "team/app", b"")
    url = blob_url("team/app", digest)
    response = client.get(url)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == "0"
    for asked in ("bytes=0-", "bytes=0-0", "bytes=-5"):
        response = client.get(url, headers={"Range": asked})
        assert response.status_code == 416
        assert response.headers["Content-Range"] == "bytes */0"


def test_a_head_reads_nothing(make_app: MakeApp, app: RegistryApp) -> None:
    """The content is not even opened."""
    driver = WatchedDriver(app.driver)
    client = Client(make_app((GivenDriver(driver),)))
    assert client.head(URL).headers["Content-Length"] == str(SIZE)
    data = paths.blob_data(DIGEST)
    assert ("reader", data) not in driver.calls
    assert ("get_content", data) not in driver.calls


def test_a_blob_is_deleted(client: Client, other_client: Client) -> None:
    """It is gone for everybody, and can be pushed again."""
    response = client.delete(URL)
    assert (response.status_code, response.data) == (202, b"")
    assert response.headers["Docker-Content-Digest"] == DIGEST
    assert response.headers["Content-Length"] == "0"
    for each in (client, other_client):
        refused(each.get(URL), 404, "BLOB_UNKNOWN")
        refused(each.delete(URL), 404, "BLOB_UNKNOWN")
    push_blob(client, "team/app", CONTENT)
    assert other_client.get(URL).data == CONTENT


def test_content_that_is_gone_is_unknown(client: Client, app: RegistryApp) -> None:
    """Whatever a cache remembers of it, no content of another length is sent."""
    assert client.get(URL).status_code == 200
    app.driver.delete(paths.blob_data(DIGEST))
    refused(client.get(URL), 404, "BLOB_UNKNOWN")
    refused(client.get(URL, headers={"Range": "bytes=0-9"}), 404, "BLOB_UNKNOWN")


# Ranges


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=9-9", 9, 10),
        ("bytes=100-", 100, SIZE),
        ("bytes=0-", 0, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-100", SIZE - 100, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes=5-{SIZE * 9}", 5, SIZE),
        ("bytes=5-" + "9" * 18, 5, SIZE),
        ("Bytes = 5-7", 5, 8),
        ("bytes= 5 - 7 ", 5, 8),
        ("bytes=5-7,", 5, 8),
        (f"bytes=5-7,{SIZE}-", 5, 8),
    ],
)
def test_a_range(client: Client, asked: str, start: int, stop: int) -> None:
    """Its bytes and no others, and where they are."""
    response = client.get(URL, headers={"Range": asked})
    assert response.status_code == 206
    assert response.data == CONTENT[start:stop]
    assert response.headers["Content-Length"] == str(stop - start)
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert response.headers["Etag"] == f'"{DIGEST}"'
    assert response.headers["Docker-Content-Digest"] == DIGEST
    assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "asked",
    [
        f"bytes={SIZE}-",
        f"bytes={SIZE}-{SIZE + 1}",
        "bytes=" + "9" * 50 + "-",
        "bytes=" + "9" * 5000 + "-",
        "bytes=5-4",
        "bytes=-0",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=--5",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1.0-2",
        "bytes=\u0661-",
        f"bytes={SIZE}-,{SIZE + 5}-",
        "bytes=0-1,x",
        "bytes=,",
    ],
)
def test_a_range_that_cannot_be(client: Client, asked: str) -> None:
    """It is refused with the size, so that the client can ask again."""
    response = client.get(URL, environ_overrides={"HTTP_RANGE": asked})
    refused(response, 416, "RANGE_INVALID")
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "bytes",
        "bytes=",
        "lines=1-2",
        "0-9",
        f"bytes=0-,0-{SIZE}",
        "bytes=" + ",".join(["0-0"] * 65),
        "bytes=" + "0-0," * 100_000,
    ],
)
def test_ranges_that_are_answered_with_all(client: Client, asked: str) -> None:
    """An unknown unit, or more than there is: the whole is an answer to it too."""
    response = client.get(URL, environ_overrides={"HTTP_RANGE": asked})
    assert (response.status_code, response.data) == (200, CONTENT)


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 1), (5, 8)],
        [(100, 200), (0, 10)],
        [(0, 1), (0, 1), (0, 1)],
        [(0, SIZE - 1), (SIZE - 1, SIZE)],
        [(at * 10, at * 10 + 1) for at in range(64)],
    ],
)
def test_several_ranges(
    client: Client, app: RegistryApp, spans: list[tuple[int, int]]
) -> None:
    """Each is a part of a multipart body, in the order in which they were asked."""
    asked = ",".join(f"{start}-{stop - 1}" for start, stop in spans)
    environ = make_environ("GET", URL, {"Range": f"bytes={asked}"})
    for wrapper in (FileWrapper, None):
        environ["wsgi.file_wrapper"] = wrapper
        answer = call(app, environ)
        assert answer.code == 206
        assert answer.header("Content-Length") == str(len(answer.body))
        assert answer.header("Content-Range") is None
        head = f"Content-Type: {answer.header('Content-Type')}\r\n\r\n".encode()
        message: Message = email.message_from_bytes(head + answer.body)
        assert message.get_content_type() == "multipart/byteranges"
        boundary = message.get_boundary()
        assert boundary is not None
        body = answer.body
        for start, stop in spans:
            expected = (
                f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n"
                f"Content-Range: bytes {start}-{stop - 1}/{SIZE}\r\n\r\n"
            ).encode() + CONTENT[start:stop]
            assert body.startswith(expected)
            body = body[len(expected) :]
        assert body == f"\r\n--{boundary}--\r\n".encode()
    assert client.get("/v2/").status_code == 200


def test_a_range_of_a_head(client: Client) -> None:
    """HEAD has no ranges: it tells of the whole."""
    response = client.head(URL, headers={"Range": "bytes=0-9"})
    assert response.status_code == 200
    assert response.headers["Content-Length"] == str(SIZE)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (f'"{DIGEST}"', 206),
        (f' "{DIGEST}" ', 206),
        (f'W/"{DIGEST}"', 200),
        (f'"{Digest.of(b"other")}"', 200),
        (str(DIGEST), 200),
        ("*", 200),
        ("Tue, 15 Nov 1994 12:45:26 GMT", 200),
    ],
)
def test_if_range(client: Client, condition: str, status: int) -> None:
    """The part is sent only of what the client has the other parts of."""
    headers = {"Range": "bytes=0-9", "If-Range": condition}
    response = client.get(URL, headers=headers)
    assert response.status_code == status
    assert response.data == (CONTENT[:10] if status == 206 else CONTENT)


def test_a_download_can_be_put_together_of_parts(client: Client) -> None:
    """As containerd does it, with ranges of any size and open ends."""
    found = b""
    while len(found) < SIZE:
        asked = f"bytes={len(found)}-{len(found) + 776}"
        found += client.get(URL, headers={"Range": asked}).data
    assert found == CONTENT
    tail = client.get(URL, headers={"Range": "bytes=5000-"}).data
    assert tail == CONTENT[5000:]


# Conditions


OTHER = f'"{Digest.of(b"other")}"'


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("held", "status"),
    [
        (f'"{DIGEST}"', 304),
        (f'W/"{DIGEST}"', 304),
        (str(DIGEST), 304),
        (f"{OTHER}, {DIGEST}", 304),
        (f'{OTHER},W/"{DIGEST}"', 304),
        ("*", 304),
        (OTHER, 200),
        ('""', 200),
        ("", 200),
        (f'"{DIGEST}x"', 200),
        ('"' * 100_000, 200),
    ],
)
def test_if_none_match(client: Client, method: str, held: str, status: int) -> None:
    """What the client has is not sent again."""
    response = client.open(URL, method=method, headers={"If-None-Match": held})
    assert response.status_code == status
    assert response.headers["Etag"] == f'"{DIGEST}"'
    assert response.headers["Docker-Content-Digest"] == DIGEST
    if status == 304:
        assert response.data == b""
        assert "Content-Length" not in response.headers
        assert "Content-Type" not in response.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("wanted", "status"),
    [(f'"{DIGEST}"', 200), ("*", 200), (f"{OTHER}, {DIGEST}", 200), (OTHER, 412)],
)
def test_if_match(client: Client, method: str, wanted: str, status: int) -> None:
    """Anything else than what the client wants is not sent."""
    response = client.open(URL, method=method, headers={"If-Match": wanted})
    assert response.status_code == status
    assert response.data == (CONTENT if (method, status) == ("GET", 200) else b"")


def test_a_condition_goes_before_a_range(client: Client) -> None:
    """Also before one that cannot be satisfied."""
    headers = {"If-None-Match": f'"{DIGEST}"', "Range": f"bytes={SIZE}-"}
    assert client.get(URL, headers=headers).status_code == 304


# As the server wants it


@pytest.mark.parametrize("asked", [None, "bytes=7-", f"bytes=-{SMALL + 5}"])
def test_a_file_goes_to_the_server_untouched(
    app: RegistryApp, client: Client, asked: str | None
) -> None:
    """In the server's own wrapper, positioned where the part begins."""
    content = CONTENT * 10
    url = blob_url("team/app", push_blob(client, "team/app", content))
    environ = make_environ("GET", url, {"Range": asked} if asked else {})
    result = app(environ, ignore)
    assert type(result) is FileWrapper
    body = result.filelike
    expected = (
        content
        if asked is None
        else (content[7:] if asked == "bytes=7-" else content[-SMALL - 5 :])
    )
    if app.driver.name == "filesystem":
        assert body.fileno() > 0
    assert body.read(3) == expected[:3]
    assert b"".join(result) == expected[3:]
    assert body.read() == b""
    result.close()


def test_a_body_is_closed_when_the_client_leaves(
    make_app: MakeApp, client: Client, app: RegistryApp
) -> None:
    """A thousand downloads that break off hold nothing (W21)."""
    content = bytes(SMALL + 1)
    url = blob_url("team/app", push_blob(client, "team/app", content))
    small = make_app(
        (GivenDriver(app.driver),), http={"threads": 3, "reservedthreads": 1}
    )
    for asked in ({}, {"Range": "bytes=0-0,5-5"}):
        for _ in range(20):
            result = small(make_environ("GET", url, asked), ignore)
            assert isinstance(result, FileWrapper)
            next(iter(result))
            result.close()
    # A body that is closed twice is counted once.
    result = small(make_environ("GET", url), ignore)
    assert isinstance(result, FileWrapper)
    result.close()
    result.close()
    assert Client(small).get(url).data == content


def test_a_blob_that_vanishes_is_counted_no_longer(
    make_app: MakeApp, client: Client, app: RegistryApp
) -> None:
    """An error between counting and opening gives the place back."""
    content = bytes(SMALL + 1)
    digest = push_blob(client, "team/app", content)
    url = blob_url("team/app", digest)
    client = Client(
        make_app((GivenDriver(app.driver),), http={"threads": 2, "reservedthreads": 1})
    )
    assert client.get(url).status_code == 200
    kept = tree(app.driver)[paths.blob_data(digest)]
    app.driver.delete(paths.blob_data(digest))
    for _ in range(3):
        assert client.get(url).status_code == 404
        headers = {"Range": "bytes=0-0,5-5"}
        assert client.get(url, headers=headers).status_code == 404
    app.driver.put_content(paths.blob_data(digest), kept)
    assert client.get(url).data == content
