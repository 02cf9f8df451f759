"""Registries with middleware, over HTTP; nginx sends the files of one of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from flaskreg.testing.live import fetch
from flaskreg.testing.live import free_port
from flaskreg.testing.live import serve


pytestmark = pytest.mark.live

README = Path(__file__).parents[1] / "README.md"
CONTENT = bytes(range(256)) * 5000


def config(root, *entries, **http):
    """Return a configuration with entries of middleware."""
    return {
        "storage": {"filesystem": {"rootdirectory": str(root)}},
        "middleware": {"storage": list(entries)},
        "http": http,
    }


def accel(**options):
    """Return an entry of accel."""
    return {"name": "accel", "options": {"prefix": "/internal", **options}}


@contextmanager
def nginx(folder, upstream, root):
    """Run nginx with the snippet of the README."""
    binary = shutil.which("nginx")
    assert binary, "nginx is not installed (apt install nginx)"
    port = free_port()
    (snippet,) = re.findall(r"^```nginx\n(.*?)^```$", README.read_text(), re.M | re.S)
    snippet = snippet.replace("http://127.0.0.1:5000", upstream)
    snippet = snippet.replace("/var/lib/registry", str(root))
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {folder}/{name};\n" for name in names)
    file = folder / "nginx.conf"
    # The user's own folder may be closed to the user that nginx's workers have.
    file.write_text(
        f"daemon off;\nuser root;\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log info;\n"
        f"events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{places}"
        f"server {{\nlisten 127.0.0.1:{port};\n{snippet}}}\n}}\n"
    )
    process = subprocess.Popen([binary, "-p", str(folder), "-c", str(file)])
    try:
        for _ in range(400):
            assert process.poll() is None, (folder / "error.log").read_text()
            try:
                fetch("GET", f"http://127.0.0.1:{port}/v2/")
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def accelerated(tmp_path_factory):
    """Return a registry, nginx before it, and the digest of a blob in it."""
    folder = tmp_path_factory.mktemp("accel")
    root = folder / "root"
    root.mkdir()
    with (
        serve(config(root, accel()), folder) as registry,
        nginx(folder, registry.url, root) as front,
    ):
        digest = registry.push_blob("team/app", CONTENT)
        yield registry, front, digest


def test_nginx_sends_the_file(accelerated):
    """All of it, with the headers that clients of a registry want."""
    registry, front, digest = accelerated
    answer = fetch("GET", f"{front}/v2/team/app/blobs/{digest}")
    assert answer.status == 200
    assert answer.body == CONTENT
    assert answer.headers["docker-content-digest"] == digest
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "max-age=31536000"
    told = registry.call("GET", f"/v2/team/app/blobs/{digest}")
    assert told.body == b"", "what nginx is told has no content"
    assert told.headers["x-accel-redirect"].startswith("/internal/docker/registry/v2/")
    assert "x-accel-redirect" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-9", CONTENT[:10], "bytes 0-9/1280000"),
        ("bytes=1279990-", CONTENT[-10:], "bytes 1279990-1279999/1280000"),
        ("bytes=-5", CONTENT[-5:], "bytes 1279995-1279999/1280000"),
    ],
)
def test_nginx_sends_a_part(accelerated, asked, content, told):
    """So that a broken pull goes on."""
    _, front, digest = accelerated
    url = f"{front}/v2/team/app/blobs/{digest}"
    answer = fetch("GET", url, headers={"Range": asked})
    assert answer.status == 206
    assert answer.body == content
    assert answer.headers["content-range"] == told


@pytest.mark.parametrize(
    ("name", "value", "status", "length"),
    [
        ("If-None-Match", '"{}"', 304, 0),
        ("If-None-Match", '"other"', 200, len(CONTENT)),
        ("If-Match", '"{}"', 200, len(CONTENT)),
        ("If-Match", '"other"', 412, 0),
    ],
)
def test_conditions_on_our_etag(accelerated, name, value, status, length):
    """The registry knows it, nginx need not."""
    _, front, digest = accelerated
    headers = {name: value.format(digest)}
    answer = fetch("GET", f"{front}/v2/team/app/blobs/{digest}", headers=headers)
    assert (answer.status, len(answer.body)) == (status, length)


@pytest.mark.parametrize(("etag", "status"), [('"{}"', 206), ('"other"', 200)])
def test_a_part_if_it_is_still_the_same(accelerated, etag, status):
    """As clients ask that go on with a broken pull."""
    _, front, digest = accelerated
    headers = {"Range": "bytes=0-9", "If-Range": etag.format(digest)}
    answer = fetch("GET", f"{front}/v2/team/app/blobs/{digest}", headers=headers)
    assert answer.status == status
    assert answer.body == (CONTENT[:10] if status == 206 else CONTENT)


def test_a_head_is_answered_in_full(accelerated):
    """By the registry itself."""
    _, front, digest = accelerated
    answer = fetch("HEAD", f"{front}/v2/team/app/blobs/{digest}")
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["docker-content-digest"] == digest


def test_files_are_not_had_without_the_registry(accelerated):
    """Neither the location nor a blob of another repository."""
    registry, front, digest = accelerated
    told = registry.call("GET", f"/v2/team/app/blobs/{digest}")
    path = told.headers["x-accel-redirect"]
    assert fetch("GET", f"{front}{path}").status == 404
    assert fetch("GET", f"{front}/v2/team/other/blobs/{digest}").status == 404


def test_a_push_and_a_pull_through_nginx(accelerated):
    """Everything else passes as it is."""
    _, front, _ = accelerated
    registry = accelerated[0].__class__(front, accelerated[0].log, None)
    digest = registry.push_image("team/app", "latest", b"a layer")
    answer = registry.call("GET", "/v2/team/app/manifests/latest")
    assert answer.headers["docker-content-digest"] == digest


def test_whoever_is_not_the_server_before_us_gets_the_bytes(tmp_path):
    """An empty answer would be a broken blob to it."""
    entry = accel(proxies=["192.0.2.1"])
    with serve(config(tmp_path / "root", entry), tmp_path) as registry:
        digest = registry.push_blob("team/app", b"content")
        assert registry.pull_blob("team/app", digest) == b"content"


def test_redirect_and_rewrite_over_http(tmp_path):
    """The client is sent away, with the digest of what it will find."""
    entries = [
        {"name": "redirect", "options": {"baseurl": "http://one/a"}},
        {"name": "rewrite", "options": {"scheme": "https", "host": "cdn.example.org"}},
    ]
    with serve(config(tmp_path / "root", *entries), tmp_path) as registry:
        digest = registry.push_blob("team/app", b"content")
        hexes = digest.partition(":")[2]
        for method in ("GET", "HEAD"):
            answer = registry.call(method, f"/v2/team/app/blobs/{digest}")
            assert answer.status == 307
            assert answer.headers["location"] == (
                "https://cdn.example.org/a/docker/registry/v2/blobs/sha256/"
                f"{hexes[:2]}/{hexes}/data"
            )
            assert answer.headers["docker-content-digest"] == digest
        other = registry.call("GET", f"/v2/team/other/blobs/{digest}")
        assert other.status == 404, "who may not have it is not sent to it"
