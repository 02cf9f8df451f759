"""Upstreams that follow the specification in their own ways, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flaskreg_proxy.budget import Budget
from flaskreg_proxy.client import UpstreamClient
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.errors import UpstreamLimited
from flaskreg_proxy.remote import RemoteRepository
from flaskreg_proxy.tokens import TokenStore
from flaskreg_proxy.workplace import Workplace
from scripted import Asked
from scripted import Script
from scripted import Scripted
from scripted import Told
from scripted import scripted

from flaskreg.config.proxy import Upstream
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.digest import Digest


DIGEST = Digest.of(b"content")
SIZE = 7


@contextmanager
def upstream(
    script: Script, folder: Path
) -> Iterator[tuple[RemoteRepository, Scripted]]:
    with scripted(script) as server:
        remote = Upstream.model_validate({"prefix": "up", "remoteurl": server.url})
        tokens = TokenStore(Workplace(InMemoryDriver(), str(folder)))
        client = UpstreamClient(server.url, remote, tokens)
        yield RemoteRepository(client, "team/app", 1000), server
        client.close()


def test_a_blob_whose_head_leads_to_a_url_for_get_alone(tmp_path: Path) -> None:
    """As signed URLs of object stores are: the first byte tells the size."""

    def script(asked: Asked) -> Told:
        if asked.method == "HEAD":
            return Told(403)
        assert asked.headers["range"] == "bytes=0-0"
        return Told(206, [("Content-Range", "bytes 0-0/12345")], b"x")

    with scripted(script) as other:

        def home(_asked: Asked) -> Told:
            return Told(307, [("Location", f"{other.url}/data")])

        with upstream(home, tmp_path) as (remote, _server):
            assert remote.stat_blob(DIGEST) == 12345


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, [("Content-Range", "bytes 2-6/7")]),
        (206, [("Content-Range", "bytes 3-6/8")]),
        (206, [("Content-Range", "bytes 3-6")]),
        (206, []),
        (416, []),
        (204, []),
    ],
)
def test_another_range_than_was_asked_for(
    tmp_path: Path, status: int, headers: list[tuple[str, str]]
) -> None:
    script = Told(status, headers, b"" if status == 204 else b"tent")
    with (
        upstream(lambda _asked: script, tmp_path) as (remote, _server),
        pytest.raises(UpstreamFailed),
    ):
        remote.open_blob(DIGEST, 3, SIZE)


def test_a_blob_of_another_size(tmp_path: Path) -> None:
    with (
        upstream(lambda _asked: Told(200, body=b"contents"), tmp_path) as (remote, _),
        pytest.raises(UpstreamFailed, match="size"),
    ):
        remote.open_blob(DIGEST, 0, SIZE)


def test_the_rest_of_a_blob(tmp_path: Path) -> None:
    """From an upstream with ranges, and from one without."""
    part = Told(206, [("Content-Range", "bytes 3-6/7")], b"tent")
    for told in (part, Told(200, body=b"content")):
        with upstream(lambda _asked, it=told: it, tmp_path) as (remote, _server):
            reply = remote.open_blob(DIGEST, 3, SIZE)
            assert reply.read_all(100) == b"tent"
            reply.close()


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain; charset=utf-8", ""]
)
def test_a_manifest_whose_type_is_not_told(tmp_path: Path, media_type: str) -> None:
    """Its content has to tell it."""
    told = Told(200, [("Content-Type", media_type)], b"{}")
    with upstream(lambda _asked: told, tmp_path) as (remote, _server):
        assert remote.get_manifest("v1", Budget(20)).media_type == ""


def test_a_manifest_that_is_too_long(tmp_path: Path) -> None:
    with (
        upstream(lambda _asked: Told(200, body=b" " * 1001), tmp_path) as (remote, _),
        pytest.raises(UpstreamFailed, match="too long"),
    ):
        remote.get_manifest("v1", Budget(20))


@pytest.mark.parametrize("told", [Told(405), Told(200), Told(200, [("X", "y")])])
def test_a_tag_whose_digest_is_not_told(tmp_path: Path, told: Told) -> None:
    """The manifest must be had."""
    with (
        upstream(lambda _asked: told, tmp_path) as (remote, _server),
        pytest.raises(LookupError),
    ):
        remote.find_digest("v1", None, Budget(20))


def test_a_tag_that_is_as_it_was(tmp_path: Path) -> None:
    with upstream(lambda _asked: Told(304), tmp_path) as (remote, server):
        assert remote.find_digest("v1", DIGEST, Budget(20)) == DIGEST
        assert server.asked[0].headers["if-none-match"] == f'"{DIGEST}"'


PAGES = {"": ["a", "b"], "b": ["c", "!", 5, "d"], "d": ["e"]}


def paged(asked: Asked) -> Told:
    last = asked.query.get("last", [""])[0]
    tags = PAGES[last]
    headers = []
    if last != "d":
        link = f"/v2/team/app/tags/list?last={'bd'[bool(last)]}&n=2"
        headers.append(("Link", f'<{link}>; rel="next"'))
    return Told(200, headers, json.dumps({"tags": tags}).encode())


@pytest.mark.parametrize(
    ("limit", "last", "tags"),
    [
        (None, "", ["a", "b", "c", "5", "d", "e"]),
        (2, "", ["a", "b"]),
        (3, "", ["a", "b", "c"]),
        (None, "d", ["e"]),
    ],
)
def test_pages_of_tags(
    tmp_path: Path, limit: int | None, last: str, tags: list[str]
) -> None:
    """They are followed; what is no tag is left out."""
    with upstream(paged, tmp_path) as (remote, server):
        assert remote.list_tags(limit, last) == tags
        assert set(server.paths()) == {"/v2/team/app/tags/list"}


@pytest.mark.parametrize(
    "link",
    [
        "<http://elsewhere.invalid/v2/x/tags/list?n=1>; rel=next",
        "<//elsewhere.invalid/v2/x/tags/list>; rel=next",
    ],
)
def test_a_next_page_is_always_of_the_same_server(tmp_path: Path, link: str) -> None:
    """Wherever a list says that it goes on."""
    told = [Told(200, [("Link", link)], b'{"tags": ["a"]}'), Told(200, body=b"{}")]
    with upstream(lambda _asked: told.pop(0), tmp_path) as (remote, server):
        assert remote.list_tags(None, "") == ["a"]
        assert len(server.asked) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"null"])
def test_a_list_that_is_none(tmp_path: Path, body: bytes) -> None:
    with (
        upstream(lambda _asked: Told(200, body=body), tmp_path) as (remote, _server),
        pytest.raises(UpstreamFailed),
    ):
        remote.list_tags(None, "")


def test_a_limit_is_one_of_manifests(tmp_path: Path) -> None:
    """The blobs of an image that is here in part may still come."""

    def script(asked: Asked) -> Told:
        if "/blobs/" in asked.path:
            return Told(200, body=b"content")
        return Told(429, [("Retry-After", "30")])

    with upstream(script, tmp_path) as (remote, server):
        for _ in range(3):
            with pytest.raises(UpstreamLimited):
                remote.get_manifest("v1", Budget(20))
        assert len(server.asked) == 1
        assert remote.stat_blob(DIGEST) == SIZE
