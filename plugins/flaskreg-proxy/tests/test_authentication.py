"""Credentials go to the upstream and its token server, once, and to nobody else."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flaskreg_proxy.budget import Budget
from flaskreg_proxy.challenges import Challenge
from flaskreg_proxy.client import UpstreamClient
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.credentials import Configured
from flaskreg_proxy.credentials import Credentials
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.errors import UpstreamDenied
from flaskreg_proxy.errors import UpstreamError
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.errors import UpstreamLimited
from flaskreg_proxy.origin import Origin
from flaskreg_proxy.origin import same_site
from flaskreg_proxy.tokens import TokenStore
from flaskreg_proxy.transport import Transport
from flaskreg_proxy.workplace import Workplace
from scripted import Asked
from scripted import Told
from scripted import scripted

from flaskreg.config.proxy import Upstream
from flaskreg.config.proxy import UpstreamTls
from flaskreg.defaults.inmemory import InMemoryDriver


USER = {"username": "me", "password": "canary"}
BASIC = "Basic bWU6Y2FuYXJ5"


def make_store(folder: Path) -> TokenStore:
    return TokenStore(Workplace(InMemoryDriver(), str(folder)))


#: made by a test, closed after it.
CLIENTS: list[UpstreamClient] = []


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    """Close what a test has made."""
    yield
    while CLIENTS:
        CLIENTS.pop().close()


def make_client(url: str, folder: Path, **keys: Any) -> UpstreamClient:
    remote = Upstream.model_validate({"prefix": "up", "remoteurl": url, **keys})
    CLIENTS.append(UpstreamClient(url, remote, make_store(folder)))
    return CLIENTS[-1]


def get(client: UpstreamClient, path: str = "/v2/app/tags/list") -> bytes:
    reply = client.request("GET", path, "app", Budget(20))
    content = reply.read_all(1 << 20)
    reply.close()
    return content


class TokenSite:
    """A registry that wants tokens, and its token server in the same place."""

    def __init__(self, **answer: Any) -> None:
        self.answer = {"expires_in": 300, **answer}
        self.tokens = 0
        self.good: set[str] = set()
        self.realm = ""

    def __call__(self, asked: Asked) -> Told:
        if asked.path == "/token":
            self.tokens += 1
            token = f"token-{self.tokens}"
            self.good.add(token)
            return Told(200, body=json.dumps({"token": token, **self.answer}).encode())
        if asked.authorization.removeprefix("Bearer ") in self.good:
            return Told(200, body=b"content")
        challenge = f'Bearer realm="{self.realm}/token",service="a, b"'
        return Told(401, [("WWW-Authenticate", challenge)])


def test_a_token_is_had_once_for_all(tmp_path: Path) -> None:
    """By all threads, and by another process, which finds it in the folder."""
    site = TokenSite()
    with scripted(site) as server:
        site.realm = server.url
        client = make_client(server.url, tmp_path, **USER)
        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(lambda _: get(client), range(32))) == {b"content"}
        other = make_client(server.url, tmp_path, **USER)
        assert get(other) == b"content"
    assert site.tokens == 1
    asked = next(it for it in server.asked if it.path == "/token")
    assert asked.query == {
        "service": ["a, b"],
        "scope": ["repository:app:pull"],
        "account": ["me"],
    }
    assert asked.authorization == BASIC


def test_tokens_are_this_users_alone(tmp_path: Path) -> None:
    site = TokenSite()
    with scripted(site) as server:
        site.realm = server.url
        get(make_client(server.url, tmp_path, **USER))
    folder = tmp_path / "tokens"
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    files = list(folder.iterdir())
    assert len(files) == 1
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert "canary" not in files[0].read_text()


def test_a_token_that_is_refused_is_had_anew(tmp_path: Path) -> None:
    site = TokenSite()
    with scripted(site) as server:
        site.realm = server.url
        client = make_client(server.url, tmp_path)
        get(client)
        site.good.clear()
        assert get(client) == b"content"
        assert site.tokens == 2


def test_a_token_of_a_server_that_says_little_lives_for_a_minute(
    tmp_path: Path,
) -> None:
    for answer in ({"expires_in": 1}, {"expires_in": None}, {"expires_in": "x"}):
        site = TokenSite(**answer)
        with scripted(site) as server:
            site.realm = server.url
            client = make_client(server.url, tmp_path)
            for _ in range(3):
                assert get(client) == b"content"
        assert site.tokens == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\nb: c"}', b"x" * 300_000],
)
def test_what_is_no_token_is_an_error(tmp_path: Path, body: bytes) -> None:
    def script(asked: Asked) -> Told:
        if asked.path == "/token":
            return Told(200, body=body)
        realm = f'Bearer realm="{server.url}/token"'
        return Told(401, [("WWW-Authenticate", realm)])

    with scripted(script) as server, pytest.raises(UpstreamFailed):
        get(make_client(server.url, tmp_path))


def test_basic_is_answered_and_not_repeated(tmp_path: Path) -> None:
    """Bearer goes first when both are offered; wrong credentials end it."""
    right = [True]

    def script(asked: Asked) -> Told:
        if asked.authorization == BASIC and right[0]:
            return Told(200, body=b"content")
        headers = [("WWW-Authenticate", 'Negotiate x, Basic realm="a, b"')]
        return Told(401, headers)

    with scripted(script) as server:
        client = make_client(server.url, tmp_path, **USER)
        assert get(client) == get(client) == b"content"
        assert [bool(it.authorization) for it in server.asked] == [False, True, True]
        right[0] = False
        server.asked.clear()
        with pytest.raises(UpstreamDenied):
            get(client)
        assert len(server.asked) == 1
        server.asked.clear()
        with pytest.raises(UpstreamDenied):
            get(make_client(server.url, tmp_path))
        assert [it.authorization for it in server.asked] == [""]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_credentials(tmp_path: Path, status: int) -> None:
    """Neither to another port nor to another host, nor back again."""

    def elsewhere(_asked: Asked) -> Told:
        return Told(200, body=b"content")

    with scripted(elsewhere) as other:

        def script(asked: Asked) -> Told:
            if asked.authorization != BASIC:
                return Told(401, [("WWW-Authenticate", "Basic realm=a")])
            return Told(status, [("Location", f"{other.url}/data?signed=x")])

        with scripted(script) as server:
            client = make_client(server.url, tmp_path, **USER)
            assert get(client) == b"content"
        assert [it.authorization for it in other.asked] == [""]
        assert other.asked[0].query == {"signed": ["x"]}


def test_redirects_that_lead_nowhere(tmp_path: Path) -> None:
    for location in ("/again", "ftp://example.com/", "http://", "http://[", "//"):
        with scripted(lambda _asked, to=location: Told(307, [("Location", to)])) as it:
            with pytest.raises(UpstreamFailed):
                get(make_client(it.url, tmp_path))
            assert len(it.asked) <= 6


def test_a_realm_elsewhere_gets_no_credentials(tmp_path: Path) -> None:
    """It may give a token to everybody; or it is named in the configuration."""

    def tokens(_asked: Asked) -> Told:
        return Told(200, body=b'{"access_token": "anybody"}')

    with scripted(tokens) as realm:

        def script(asked: Asked) -> Told:
            if asked.authorization == "Bearer anybody":
                return Told(200, body=b"content")
            challenge = f'Bearer realm="{realm.url}/token"'
            return Told(401, [("WWW-Authenticate", challenge)])

        with scripted(script) as server:
            assert get(make_client(server.url, tmp_path / "a", **USER)) == b"content"
            assert [it.authorization for it in realm.asked] == [""]
            host = realm.url.removeprefix("http://")
            keys = {**USER, "realms": [host]}
            assert get(make_client(server.url, tmp_path / "b", **keys)) == b"content"
            assert [it.authorization for it in realm.asked] == ["", BASIC]


@pytest.mark.parametrize(
    ("host", "other", "same"),
    [
        ("registry-1.docker.io", "auth.docker.io", True),
        ("registry.gitlab.com", "gitlab.com", True),
        ("a.example.com", "b.example.com", True),
        ("registry.example.co.uk", "evil.co.uk", False),
        ("me.github.io", "you.github.io", False),
        ("docker.io", "docker.com", False),
        ("docker.io.evil.com", "docker.io", False),
        ("com", "com", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("10.0.0.1", "9.0.0.1", False),
    ],
)
def test_sites(host: str, other: str, same: bool) -> None:
    assert same_site(host, other) is same
    assert same_site(other, host) is same


def test_no_way_from_https_to_http(tmp_path: Path) -> None:
    """A realm without TLS of an upstream with it is not asked."""
    origin = Origin(
        "https://registry.example.com",
        Transport(UpstreamTls()),
        Configured(Credentials("me", "canary")),
        (),
        make_store(tmp_path),
        Counters(),
    )
    for realm in ("http://registry.example.com/token", "ftp://x/", "token", "http://["):
        with pytest.raises(UpstreamFailed):
            origin._credentials_for(Challenge("bearer", {"realm": realm}))


def test_no_private_address_by_an_answer() -> None:
    """Not unless the upstream is on one itself; nothing is sent there."""
    with scripted(lambda _asked: Told(200)) as inside:
        transport = Transport(UpstreamTls())
        with pytest.raises(UpstreamFailed, match="private"):
            transport.send("GET", inside.url, {}, Budget(5), own=False)
        assert inside.asked == []
        for own in (True, False):
            reply = transport.send("GET", inside.url, {}, Budget(5), own=own)
            reply.close()
            assert reply.status == 200
            assert transport.private
        transport.close()


@pytest.mark.parametrize(("lifetime", "calls"), [(None, 1), (0, 3), (3600, 1)])
def test_a_credential_helper(
    tmp_path: Path, lifetime: float | None, calls: int
) -> None:
    """Asked with ``get`` and the host, and its answer kept as long as it may be."""
    helper = tmp_path / "docker-credential-test"
    log = tmp_path / "log"
    helper.write_text(
        f'#!/bin/sh\nread host\necho "$1 $host" >> {log}\n'
        'echo "{\\"Username\\": \\"me\\", \\"Secret\\": \\"canary\\"}"\n'
    )
    helper.chmod(0o755)

    def script(asked: Asked) -> Told:
        if asked.authorization == BASIC:
            return Told(200, body=b"content")
        return Told(401, [("WWW-Authenticate", "Basic realm=a")])

    with scripted(script) as server:
        keys = {"exec": {"command": str(helper), "lifetime": lifetime}}
        client = make_client(server.url, tmp_path / "work", **keys)
        for _ in range(3):
            assert get(client) == b"content"
    host = server.url.removeprefix("http://")
    assert log.read_text().splitlines() == [f"get {host}"] * calls


def test_a_credential_helper_that_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The secret that it may have told is told to nobody."""
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\necho canary; echo canary >&2; exit 1\n")
    helper.chmod(0o755)
    challenge = Told(401, [("WWW-Authenticate", "Basic realm=a")])
    with scripted(lambda _asked: challenge) as server:
        keys = {"exec": {"command": str(helper)}}
        with pytest.raises(UpstreamFailed) as caught:
            get(make_client(server.url, tmp_path / "work", **keys))
    assert "canary" not in f"{caught.value} {caplog.text}"


def test_rate_limits_are_read_and_heeded(tmp_path: Path) -> None:
    headers = [("RateLimit-Limit", "100;w=21600"), ("RateLimit-Remaining", "7;w=21600")]
    with scripted(lambda _asked: Told(200, headers)) as server:
        client = make_client(server.url, tmp_path)
        get(client)
        limit = client.origins[-1].limits.current
        assert limit is not None
        assert (limit.limit, limit.remaining, limit.window) == (100, 7, 21600)
        assert not client.spent
        headers[1] = ("RateLimit-Remaining", "0;w=21600")
        get(client)
        assert client.spent
        other = make_client(server.url, tmp_path)
        assert other.spent, "another worker knows it too"
        headers[1] = ("RateLimit-Remaining", "1;w=21600")
        get(other)
        assert not client.spent


def test_all_workers_heed_a_refusal(tmp_path: Path) -> None:
    """Also one that begins later; what is not limited is had from others."""
    refusal = Told(429, [("Retry-After", "600")])
    with scripted(lambda _asked: refusal) as server, scripted(refuse) as other:
        clients = [make_client(server.url, tmp_path) for _ in range(3)]
        for client in clients:
            with pytest.raises(UpstreamLimited) as caught:
                get(client)
            assert 1 <= caught.value.seconds <= 600
        assert len(server.asked) == 1
        with pytest.raises(NotThere):
            get(make_client(other.url, tmp_path))


def refuse(_asked: Asked) -> Told:
    return Told(404)


def test_what_is_not_there_and_what_is_broken(tmp_path: Path) -> None:
    told = [404]
    with scripted(lambda _asked: Told(told[0])) as server:
        client = make_client(server.url, tmp_path)
        with pytest.raises(NotThere):
            get(client)
        for status in (400, 403, 405, 418, 429, 500, 502, 504):
            told[0] = status
            client = make_client(server.url, tmp_path)
            with pytest.raises(UpstreamError) as caught:
                get(client)
            assert caught.value.status in (403, 429, 502)


def test_a_silent_server_costs_what_the_budget_allows(tmp_path: Path) -> None:
    go_on = threading.Event()

    def script(_asked: Asked) -> Told:
        go_on.wait(30)
        return Told(200)

    with scripted(script) as server:
        client = make_client(server.url, tmp_path)
        with pytest.raises(UpstreamError) as caught:
            client.request("GET", "/v2/", "app", Budget(0.3))
        assert caught.value.status == 504
        go_on.set()


def test_mirrors_get_no_credentials(tmp_path: Path) -> None:
    def script(_asked: Asked) -> Told:
        return Told(401, [("WWW-Authenticate", "Basic realm=a")])

    def home(asked: Asked) -> Told:
        return Told(200, body=b"content") if asked.authorization else script(asked)

    with scripted(script) as mirror, scripted(home) as server:
        client = make_client(server.url, tmp_path, mirrors=[mirror.url], **USER)
        assert get(client) == b"content"
        assert [it.authorization for it in mirror.asked] == [""]
