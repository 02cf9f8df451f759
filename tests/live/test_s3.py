"""Nodes that share nothing but an S3 bucket: two of ours, and distribution beside them.

Each test runs over each S3 server that ``flaskreg_s3.testing`` starts.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flaskreg_s3 import make_s3
from flaskreg_s3.testing import S3Server
from flaskreg_s3.testing import chosen
from flaskreg_s3.testing import running

from .api import Api
from .api import expect
from .api import offset_of
from .api import with_digest
from .images import MIB
from .images import Layout
from .images import digest_of
from .images import make_layout
from .servers import PROJECT
from .servers import Launcher
from .servers import Server
from .test_interop import moved
from .test_kills import Record
from .test_kills import pushers
from .tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

#: seconds in which the lock of a node that was killed is given up.
LEASE = 60
SIZES = [100, 3 * MIB, 17 * MIB]


@pytest.fixture(scope="module", params=chosen())
def s3(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    """An S3 server."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def storage(s3: S3Server) -> dict[str, Any]:
    """The configuration of a registry in a place of the bucket of its own."""
    parameters = s3.parameters(f"/{uuid.uuid4()}", chunksize=6 * MIB)
    return {"storage": {"s3": parameters, "redirect": {"disable": True}}}


@pytest.fixture
def nodes(launcher: Launcher, storage: dict[str, Any]) -> list[Server]:
    """Two nodes over the bucket, of two workers each."""
    return [launcher.flaskreg(storage, workers=2) for _ in range(2)]


@pytest.mark.parametrize("size", SIZES)
def test_a_push_goes_on_at_the_other_node(nodes: list[Server], size: int) -> None:
    """Each request of a push reaches the other node than the one before it."""
    data = random.Random(size).randbytes(size)
    apis = [Api(node.url, "scale/out") for node in nodes]
    location = apis[0].start()
    step = max(size // 3, 1)
    for number, at in enumerate(range(0, size, step), 1):
        here = moved(nodes[number % 2], location)
        location = apis[number % 2].append(here, data[at : at + step], at)
        other = moved(nodes[(number + 1) % 2], location)
        status = expect(apis[(number + 1) % 2].status(other), 204)
        assert offset_of(status) == min(at + step, size)
    last = (number + 1) % 2
    expect(apis[last].commit(moved(nodes[last], location), digest_of(data)), 201)
    for api, node in zip(apis, nodes, strict=True):
        assert api.pull_blob(digest_of(data)) == data
        answer = api.call("PATCH", moved(node, location), data=b"more")
        assert answer.status_code == 404


@pytest.mark.parametrize("size", [*SIZES, 40 * MIB])
@pytest.mark.parametrize("left", [False, True])
def test_a_push_in_one_request(
    nodes: list[Server], storage: dict[str, Any], size: int, *, left: bool
) -> None:
    """It is at the other node, also where one that died had as much of it under way."""
    data = random.Random(f"{size} {left}").randbytes(size)
    digest = digest_of(data)
    driver = make_s3("storage.s3", storage["storage"]["s3"])
    encoded = digest.removeprefix("sha256:")
    path = f"/docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}/data"
    if left:
        key = driver.key(path)
        upload = driver.bucket.create_upload(key)
        driver.bucket.upload_part(key, upload, 1, b"x" * size)
    apis = [Api(node.url, "scale/whole") for node in nodes]
    assert apis[1].call("HEAD", f"blobs/{digest}").status_code == 404
    expect(apis[0].commit(apis[0].start(), digest, data), 201)
    for api in apis:
        assert api.pull_blob(digest) == data
    location = apis[1].append(apis[1].start(), data)
    expect(apis[1].commit(location, digest), 201)
    assert driver.get_content(path) == data
    driver.close()


def test_of_two_nodes_that_append_one_does(nodes: list[Server]) -> None:
    """The other one is told where the upload goes on."""
    apis = [Api(node.url, "scale/race") for node in nodes]
    location = apis[0].start()
    first = expect(
        apis[0].call("PATCH", moved(nodes[0], location), data=b"a" * MIB), 202
    )
    again = apis[1].call("PATCH", moved(nodes[1], location), data=b"b" * MIB)
    assert again.status_code == 416
    assert offset_of(again) == MIB
    location = moved(nodes[1], apis[0].location(first))
    expect(apis[1].commit(location, digest_of(b"a" * MIB)), 201)


def test_deletes_are_seen_by_the_other_node(
    nodes: list[Server], tmp_path: Path
) -> None:
    """What one node deletes the other does not serve, at once."""
    layout = make_layout(tmp_path / "image", seed="scale")
    for here, there in (nodes, nodes[::-1]):
        one, other = Api(here.url, "scale/deleted"), Api(there.url, "scale/deleted")
        one.push(layout, "latest", "kept")
        other.check_holds(layout, "latest")
        expect(one.call("DELETE", "manifests/latest"), 202)
        assert other.call("GET", "manifests/latest").status_code == 404
        tags = expect(other.call("GET", "tags/list"), 200).json()["tags"]
        assert tags == ["kept"]
        expect(one.call("DELETE", f"manifests/{layout.digest}"), 202)
        for reference in ("kept", layout.digest):
            assert other.call("GET", f"manifests/{reference}").status_code == 404
        (blob, *_) = layout.blobs()
        expect(one.call("DELETE", f"blobs/{blob}"), 202)
        assert other.call("HEAD", f"blobs/{blob}").status_code == 404


def test_a_killed_node_loses_nothing(nodes: list[Server], storage: Any) -> None:
    """What a node acknowledged before kill -9 is at the other one.

    And what it had begun goes on there, once its locks are given up.
    """
    lost, left = nodes
    with pushers(lost) as records:
        wait_until(
            lambda: sum(len(record.tags) for record in records.values()) > 10,
            120,
            "some pushes",
        )
        lost.kill()
    assert any(record.unfinished for record in records.values())
    for name, record in records.items():
        api = Api(left.url, name)
        for digest, data in record.blobs.items():
            assert api.pull_blob(digest) == data
        for tag, digest in record.tags.items():
            document, _ = api.pull_manifest(tag)
            assert digest_of(document) == digest
            assert document == record.manifests[digest]
        for digest in record.unfinished:
            assert api.call("GET", f"blobs/{digest}").status_code == 404
        go_on(left, api, record)
    check_bucket(storage)


def go_on(server: Server, api: Api, record: Record) -> None:
    """Finish the sessions of a node that is gone, from the offset that is told."""
    for digest, (location, data) in record.unfinished.items():
        deadline = time.monotonic() + LEASE
        while True:
            status = expect(api.status(moved(server, location)), 204)
            at = offset_of(status)
            answer = api.call("PATCH", api.location(status), data=data[at:])
            if answer.status_code == 202:
                break
            assert time.monotonic() < deadline, answer.text
            time.sleep(1)
        expect(api.commit(api.location(answer), digest), 201)
        assert api.pull_blob(digest) == data


def check_bucket(storage: dict[str, Any]) -> None:
    """Check that every blob in the bucket is what its name says."""
    driver = make_s3("storage.s3", storage["storage"]["s3"])
    found = [
        info.path
        for info in driver.walk("/docker/registry/v2/blobs")
        if not info.is_dir
    ]
    assert found
    for path in found:
        assert digest_of(driver.get_content(path)) == f"sha256:{path.split('/')[-2]}"
    driver.close()


def test_the_conformance_suite_through_nginx(
    nodes: list[Server], start_nginx: Callable[..., str], tmp_path: Path
) -> None:
    """Two nodes behind a balancer that takes them in turn are one registry."""
    host = start_nginx(*nodes)
    done = subprocess.run(
        ["bash", str(PROJECT / ".ci" / "conformance"), str(tmp_path / "conformance")],
        env=os.environ | {"FLASKREG_TARGET": host},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "OCI Conformance Result" in done.stdout


def test_a_bucket_is_shared_with_distribution(
    launcher: Launcher, storage: dict[str, Any], tmp_path: Path
) -> None:
    """What either wrote is served by the other, and deleted by it."""
    ours = launcher.flaskreg(storage, workers=2)
    theirs = launcher.distribution("3", storage)
    for here, there in ((ours, theirs), (theirs, ours)):
        name = f"shared/{here.name.split()[0]}"
        layout = make_layout(
            tmp_path / here.name.split()[0], arches=("amd64", "arm64"), seed=name
        )
        one, other = Api(here.url, name), Api(there.url, name)
        one.push(layout, "latest")
        big = random.Random(name).randbytes(40 * MIB)
        one.push_blob(big)
        other.check_holds(layout, "latest")
        assert other.pull_blob(digest_of(big)) == big
        assert expect(other.call("GET", "tags/list"), 200).json()["tags"] == ["latest"]
        expect(other.call("DELETE", f"manifests/{layout.digest}"), 202)
        assert one.call("GET", "manifests/latest").status_code == 404
        names = expect(
            other.session.get(f"{there.url}/v2/_catalog", timeout=30), 200
        ).json()["repositories"]
        assert name in names


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ours_first", [True, False])
def test_an_upload_changes_between_us_and_distribution(
    launcher: Launcher, storage: dict[str, Any], ours_first: bool, size: int
) -> None:
    """It goes to and fro, from the first bytes on that whoever began has received."""
    data = random.Random(f"{size} cross").randbytes(size)
    ours = launcher.flaskreg(storage, workers=2)
    theirs = launcher.distribution("3", storage)
    pair = [ours, theirs] if ours_first else [theirs, ours]
    apis = [Api(server.url, "shared/flight") for server in pair]
    location = apis[0].start()
    step = size // 3 + 1
    for number, at in enumerate(range(0, size, step)):
        api, server = apis[number % 2], pair[number % 2]
        location = api.append(moved(server, location), data[at : at + step], at)
    target = with_digest(moved(pair[1], location), digest_of(data))
    expect(apis[1].call("PUT", target), 201)
    for api in apis:
        assert api.pull_blob(digest_of(data)) == data


def test_clients_are_sent_to_the_bucket(
    launcher: Launcher, storage: dict[str, Any], tmp_path: Path
) -> None:
    """A redirect is signed for the method, and the client reads from S3 itself."""
    storage["storage"]["redirect"] = {"disable": False}
    server = launcher.flaskreg(storage, workers=1)
    layout: Layout = make_layout(tmp_path / "image", seed="redirect")
    api = Api(server.url, "scale/redirect")
    for digest in layout.blobs():
        api.push_blob(layout.blob(digest).read_bytes())
    for digest in layout.blobs():
        for method in ("GET", "HEAD"):
            answer = expect(api.call(method, f"blobs/{digest}"), 307)
            url = answer.headers["Location"]
            assert url.startswith(storage["storage"]["s3"]["regionendpoint"])
            direct = expect(api.call(method, url), 200)
            content = layout.blob(digest).read_bytes()
            assert direct.headers["Content-Length"] == str(len(content))
            assert direct.content == (content if method == "GET" else b"")
