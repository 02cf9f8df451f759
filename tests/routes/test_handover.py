"""Blobs that somebody else sends: by a URL, or by headers for the server before us."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp
from builders import blob_url
from builders import push_blob

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.digest import Digest
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.storage import paths


CONTENT = b"content"
DIGEST = Digest.of(CONTENT)
URL = blob_url("team/app", DIGEST)

MakeClient = Callable[..., Client]


class Elsewhere(InMemoryDriver):
    """A driver that tells what it was asked, and answers what it was given."""

    def __init__(self, answer: Handover | None) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[tuple[str, ContentRequest]] = []

    def hand_over(self, path: str, request: ContentRequest) -> Handover | None:
        """Note the call."""
        self.asked.append((path, request))
        return self.answer


@pytest.fixture
def make_client(make_app: MakeApp) -> MakeClient:
    """Return a callable that makes a client of a registry on a driver."""

    def make(driver: Elsewhere, **sections: object) -> Client:
        client = Client(make_app((GivenDriver(driver),), **sections))
        push_blob(client, "team/app", CONTENT)
        return client

    return make


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_url(make_client: MakeClient, method: str) -> None:
    """The client is sent there, for both methods."""
    driver = Elsewhere(Handover("https://cdn.example.org/x"))
    answer = make_client(driver).open(URL, method=method)
    assert answer.status_code == 307
    assert answer.headers["Location"] == "https://cdn.example.org/x"
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    ((path, request),) = driver.asked
    assert path == paths.blob_data(DIGEST)
    assert (request.method, request.redirects) == (method, True)


def test_headers(make_client: MakeClient) -> None:
    """The answer has them, all headers of the blob, and no content."""
    driver = Elsewhere(Handover(headers=(("X-Sendfile", "/a/b"),)))
    client = make_client(driver)
    answer = client.get(URL)
    assert answer.status_code == 200
    assert answer.headers["X-Sendfile"] == "/a/b"
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert answer.headers["Etag"] == f'"{DIGEST}"'
    assert answer.data == b""
    head = client.head(URL)
    assert "X-Sendfile" not in head.headers
    assert head.headers["Content-Length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("headers", "status", "content"),
    [
        ({"If-None-Match": f'"{DIGEST}"'}, 304, b""),
        ({"If-Match": '"other"'}, 412, b""),
        ({"If-Match": f'"{DIGEST}"'}, 200, CONTENT),
        ({"If-Range": f'"{DIGEST}"', "Range": "bytes=0-1"}, 206, CONTENT[:2]),
        ({"If-Range": '"other"', "Range": "bytes=0-1"}, 200, CONTENT),
        ({"Range": "bytes=0-1"}, 200, b""),
    ],
)
def test_conditions(
    make_client: MakeClient, headers: dict[str, str], status: int, content: bytes
) -> None:
    """Those on our etag are answered here; a plain range is left to who sends it."""
    client = make_client(Elsewhere(Handover(headers=(("X-Sendfile", "/a"),))))
    answer = client.get(URL, headers=headers)
    assert (answer.status_code, answer.data) == (status, content)


def test_redirects_may_be_off(make_client: MakeClient) -> None:
    """The driver is told, and need not sign anything."""
    driver = Elsewhere(None)
    storage = {"redirect": {"disable": True}}
    answer = make_client(driver, storage=storage).get(URL)
    assert answer.data == CONTENT
    assert driver.asked[0][1].redirects is False


@pytest.mark.parametrize(
    ("trusted", "client"), [([], "127.0.0.1"), (["127.0.0.1"], "192.0.2.7")]
)
def test_who_asks(make_client: MakeClient, trusted: list[str], client: str) -> None:
    """The peer, and the client that a trusted proxy tells."""
    driver = Elsewhere(None)
    made = make_client(driver, http={"trustedproxies": trusted})
    headers = {"X-Forwarded-For": "192.0.2.7, 198.51.100.1"}
    made.get(URL, headers=headers, environ_overrides={"REMOTE_ADDR": "127.0.0.1"})
    request = driver.asked[0][1]
    assert (request.peer, request.client) == ("127.0.0.1", client)


def test_who_may_not_read_is_sent_nowhere(make_client: MakeClient) -> None:
    """The driver is not even asked."""
    driver = Elsewhere(Handover("https://cdn.example.org/x"))
    answer = make_client(driver).get(blob_url("team/other", DIGEST))
    assert answer.status_code == 404
    assert driver.asked == []
