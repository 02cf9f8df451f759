"""Registries on one container, over HTTP: ours, and distribution."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import ExitStack

import pytest

from flaskreg.digest import Digest
from flaskreg.testing.live import fetch
from flaskreg.testing.live import serve


pytestmark = pytest.mark.live

LAYER = bytes(range(256)) * 40_000
OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}


def config(azurite, *, redirect=True):
    """Return a configuration that distribution reads as well."""
    section = azurite.parameters(f"c{uuid.uuid4().hex}")
    return {
        "storage": {
            "azure": {
                **section,
                "rootdirectory": "/registry",
                "credentials": {"type": "shared_key"},
            },
            "delete": {"enabled": True},
            "redirect": {"disable": not redirect},
        },
        "http": {"secret": "of both"},
        "log": {"level": "warn"},
    }


def distribution():
    """Return the command line of distribution."""
    binary = os.environ.get("FLASKREG_DISTRIBUTION") or shutil.which("registry")
    assert binary, "FLASKREG_DISTRIBUTION has to name distribution's registry"
    return [binary, "serve"]


def commands(first):
    """Return the commands of both registries, *first* first."""
    both = [None, distribution()]
    return both if first == "ours" else both[::-1]


@pytest.mark.parametrize("first", ["ours", "distribution"])
def test_each_serves_what_the_other_stored(azurite, tmp_path, first):
    """Tags, manifests and blobs; in both directions, and a delete too."""
    given = config(azurite, redirect=False)
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(serve(given, tmp_path, command=command))
            for command in commands(first)
        )
        digest = one.push_image("team/app", "latest", LAYER, b"small")
        answer = two.call("GET", "/v2/team/app/manifests/latest", None, OCI)
        assert Digest.of(answer.body) == digest
        assert two.pull_blob("team/app", Digest.of(LAYER)) == LAYER
        assert two.call("GET", "/v2/team/app/tags/list").json()["tags"] == ["latest"]
        assert two.call("GET", "/v2/_catalog").json()["repositories"] == ["team/app"]
        path = f"/v2/team/app/manifests/{digest}"
        assert two.call("DELETE", path).status == 202
        assert one.call("GET", path, None, OCI).status == 404


@pytest.mark.parametrize("first", ["ours", "distribution"])
def test_an_upload_that_the_one_began_goes_on_at_the_other(azurite, tmp_path, first):
    """Over one container and one secret."""
    given = config(azurite, redirect=False)
    stream = {"Content-Type": "application/octet-stream"}
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(serve(given, tmp_path, command=command))
            for command in commands(first)
        )
        location = one.call("POST", "/v2/team/app/blobs/uploads/").headers["location"]
        path = location[location.index("/v2/") :]
        location = one.call("PATCH", path, b"one ", stream).headers["location"]
        path = location[location.index("/v2/") :]
        answer = two.call("PATCH", path, b"two", stream)
        assert answer.status == 202, answer
        location = answer.headers["location"]
        digest = Digest.of(b"one two")
        path = f"{location[location.index('/v2/') :]}&digest={digest}"
        assert one.call("PUT", path).status == 201
        assert two.pull_blob("team/app", digest) == b"one two"


def test_clients_are_sent_to_azure(azurite, tmp_path):
    """By a URL that is signed; who has no access gets none."""
    with serve(config(azurite), tmp_path) as registry:
        digest = registry.push_blob("team/app", LAYER)
        path = f"/v2/team/app/blobs/{digest}"
        for method in ("GET", "HEAD"):
            answer = registry.call(method, path)
            assert answer.status == 307
            assert answer.headers["docker-content-digest"] == digest
            there = fetch(method, answer.headers["location"])
            assert there.status == 200
            assert there.headers["content-length"] == str(len(LAYER))
            assert there.body == (LAYER if method == "GET" else b"")
        assert registry.call("GET", f"/v2/team/other/blobs/{digest}").status == 404
