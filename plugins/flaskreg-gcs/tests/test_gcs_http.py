"""Registries on one bucket, over HTTP: ours, and distribution.

Distribution begins its uploads at Google's own name, whatever it is told. So both go
through a proxy that leads Google's names to fake-gcs-server, over TLS.
"""

from __future__ import annotations

import os
import shutil
import ssl
import urllib.request
import uuid
from contextlib import ExitStack

import pytest

from flaskreg.digest import Digest
from flaskreg.testing.live import serve


pytestmark = pytest.mark.live

LAYER = bytes(range(256)) * 10_000
OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}


@pytest.fixture
def config(google):
    """Return a configuration that distribution reads as well, and its environment."""
    server, environment, keyfile = google
    bucket = f"b{uuid.uuid4().hex}"
    server.make_bucket(bucket)
    section = {"bucket": bucket, "keyfile": keyfile, "rootdirectory": "/registry"}
    storage = {
        "gcs": section,
        "delete": {"enabled": True},
        "redirect": {"disable": True},
    }
    given = {"storage": storage, "http": {"secret": "both"}, "log": {"level": "warn"}}
    return given, environment


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
def test_each_serves_what_the_other_stored(config, tmp_path, first):
    """Tags, manifests and blobs; in both directions, and a delete too."""
    given, env = config
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(serve(given, tmp_path, command=command, env=env))
            for command in commands(first)
        )
        digest = one.push_image("team/app", "latest", LAYER, b"small")
        answer = two.call("GET", "/v2/team/app/manifests/latest", None, OCI)
        assert Digest.of(answer.body) == digest
        assert two.pull_blob("team/app", Digest.of(LAYER)) == LAYER
        assert two.call("GET", "/v2/team/app/tags/list").json()["tags"] == ["latest"]
        path = f"/v2/team/app/manifests/{digest}"
        assert two.call("DELETE", path).status == 202
        assert one.call("GET", path, None, OCI).status == 404


@pytest.mark.parametrize("first", ["ours", "distribution"])
def test_an_upload_that_the_one_began_goes_on_at_the_other(config, tmp_path, first):
    """Over one bucket and one secret: both park it in the same form."""
    given, env = config
    stream = {"Content-Type": "application/octet-stream"}
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(serve(given, tmp_path, command=command, env=env))
            for command in commands(first)
        )
        path = "/v2/team/app/blobs/uploads/"
        for registry, method, body in (
            (one, "POST", None),
            (one, "PATCH", LAYER),
            (two, "PATCH", b"more"),
        ):
            answer = registry.call(method, path, body, stream)
            assert answer.status == 202, answer
            location = answer.headers["location"]
            path = location[location.index("/v2/") :]
        digest = Digest.of(LAYER + b"more")
        assert one.call("PUT", f"{path}&digest={digest}").status == 201
        assert two.pull_blob("team/app", digest) == LAYER + b"more"


def test_clients_are_sent_to_the_bucket(config, tmp_path):
    """By a URL that is signed for the method; who has no access gets none."""
    given, env = config
    del given["storage"]["redirect"]
    proxy = urllib.request.ProxyHandler({"https": env["HTTPS_PROXY"]})
    context = ssl.create_default_context(cafile=env["SSL_CERT_FILE"])
    opener = urllib.request.build_opener(
        proxy, urllib.request.HTTPSHandler(context=context)
    )
    with serve(given, tmp_path, env=env) as registry:
        digest = registry.push_blob("team/app", LAYER)
        for method in ("GET", "HEAD"):
            answer = registry.call(method, f"/v2/team/app/blobs/{digest}")
            assert answer.status == 307
            url = answer.headers["location"]
            assert url.startswith("https://storage.googleapis.com/")
            assert "X-Goog-Signature=" in url
            with opener.open(urllib.request.Request(url, method=method)) as there:
                assert there.read() == (LAYER if method == "GET" else b"")
        assert registry.call("GET", f"/v2/team/other/blobs/{digest}").status == 404
