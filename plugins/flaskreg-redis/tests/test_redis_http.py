"""Registries that share a Redis, over HTTP: ours, and distribution."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from contextlib import closing
from pathlib import Path

import pytest
from redis_servers import RedisServer

from flaskreg.digest import Digest
from flaskreg.testing.live import serve


pytestmark = pytest.mark.live


def config(root, server):
    """Return a configuration that distribution reads as well."""
    return {
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "cache": {"blobdescriptor": "redis"},
            "delete": {"enabled": True},
        },
        # A busy machine is not a dead server.
        "redis": {
            "addrs": [server.address],
            "dialtimeout": "30s",
            "readtimeout": "30s",
        },
        "log": {"level": "warn"},
    }


def distribution():
    """Return the command line of distribution."""
    binary = os.environ.get("FLASKREG_DISTRIBUTION") or shutil.which("registry")
    assert binary, "FLASKREG_DISTRIBUTION has to name distribution's registry"
    assert Path(binary).exists(), binary
    return [binary, "serve"]


def content_of(client):
    """Return all that Redis holds, by key."""
    found = {}
    for key in client.scan_iter():
        kind = client.type(key)
        found[key] = client.hgetall(key) if kind == "hash" else client.smembers(key)
    return found


def test_two_registries_see_one_cache(tmp_path, empty_server):
    """A push on one is known to the other, and a delete too."""
    with ExitStack() as stack:
        both = config(tmp_path / "root", empty_server)
        one = stack.enter_context(serve(both, tmp_path))
        two = stack.enter_context(serve(both, tmp_path))
        client = stack.enter_context(closing(empty_server.client()))
        digest = one.push_blob("team/app", b"content")
        assert client.hget(f"blobs::{digest}", "size") == "7"
        assert two.pull_blob("team/app", digest) == b"content"
        path = f"/v2/team/app/blobs/{digest}"
        assert two.call("GET", f"/v2/team/other/blobs/{digest}").status == 404
        assert two.call("DELETE", path).status == 202
        assert one.call("GET", path).status == 404
        assert client.keys() == []


def test_a_dead_redis_makes_nothing_wrong(tmp_path):
    """Killed and started again under a registry that goes on."""
    server = RedisServer(tmp_path).start()
    with serve(config(tmp_path / "root", server), tmp_path) as registry:
        one = registry.push_blob("team/app", b"one")
        server.stop()
        assert registry.pull_blob("team/app", one) == b"one"
        two = registry.push_blob("team/app", b"two")
        path = f"/v2/team/app/blobs/{one}"
        assert registry.call("DELETE", path).status == 202
        assert registry.call("GET", path).status == 404
        server.start()
        assert registry.pull_blob("team/app", two) == b"two"
        assert registry.call("GET", path).status == 404
        server.stop()
        assert registry.told().count("does not answer") >= 1


def test_the_same_keys_as_distribution(tmp_path, empty_server):
    """What both write for one push, down to each field."""
    written = []
    for name, command in (("ours", None), ("distribution", distribution())):
        with closing(empty_server.client()) as client:
            client.flushall()
            given = config(tmp_path / name, empty_server)
            with serve(given, tmp_path, command=command) as registry:
                registry.push_image("team/app", "latest", b"layer one", b"layer two")
                for layer in (b"layer one", b"layer two"):
                    registry.pull_blob("team/app", Digest.of(layer))
                known = content_of(client)
            blobs = {"{}", "layer one", "layer two"}
            digests = [Digest.of(each.encode()) for each in blobs]
            written.append(
                {
                    key: value
                    for key, value in known.items()
                    if any(each in key for each in digests) or key.endswith("::blobs")
                }
            )
    ours, theirs = written
    key = "repository::team/app::blobs"
    assert ours.pop(key) <= theirs.pop(key)
    assert ours == theirs


@pytest.mark.parametrize("first", ["ours", "distribution"])
def test_each_reads_what_the_other_wrote(tmp_path, empty_server, first):
    """Over one root and one Redis, in both directions; a delete is seen as well."""
    commands = {"ours": None, "distribution": distribution()}
    second = next(name for name in commands if name != first)
    given = config(tmp_path / "root", empty_server)
    with ExitStack() as stack:
        one = stack.enter_context(serve(given, tmp_path, command=commands[first]))
        two = stack.enter_context(serve(given, tmp_path, command=commands[second]))
        digest = one.push_blob("team/app", b"content")
        assert two.pull_blob("team/app", digest) == b"content"
        path = f"/v2/team/app/blobs/{digest}"
        assert one.call("DELETE", path).status == 202
        assert two.call("GET", path).status == 404
