"""What the machine can do to a registry: no room, no writes, no descriptors.

What must hold: the answer is JSON and says so, what was acknowledged is served all the
time, deletes go on, and when the cause is gone all goes on without a restart.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from .api import Api
from .api import expect
from .api import offset_of
from .images import KIB
from .images import MIB
from .images import OCI
from .images import digest_of
from .servers import Launcher
from .servers import Server
from .test_upkeep import config_of
from .test_upkeep import flaskreg
from .tools import need
from .tools import run
from .tools import wait_until
from .wire import Wire


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

PAGE = 4 * KIB
SIZE = 8 * MIB


class Disk:
    """A file system of a few MiB in memory.

    :param path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def free(self) -> int:
        """Return the bytes that are left."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_bsize

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes, and no more."""
        with open(self._filler, "ab", buffering=0) as file:
            while self.free() > leave:
                file.write(b"\0" * min(64 * KIB, self.free() - leave))

    def empty(self) -> None:
        """Give back what :meth:`fill` took."""
        self._filler.unlink(missing_ok=True)

    def remount(self, option: str) -> None:
        """Let it be written to (``rw``), or not (``ro``)."""
        run([need("mount"), "-o", f"remount,{option}", str(self.path)])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Return a small disk; only root can mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    option = f"size={SIZE}"
    run([need("mount"), "-t", "tmpfs", "-o", option, "flaskreg-test", str(path)])
    yield Disk(path)
    run([need("umount"), "--lazy", str(path)])


@pytest.fixture
def server(disk: Disk, launcher: Launcher) -> Server:
    """Return a registry on the small disk."""
    return launcher.flaskreg(workers=2, root=disk.path / "registry")


def image_of(api: Api, *layers: bytes, note: str = "") -> bytes:
    """Push the blobs of an image, and return its manifest."""
    config = api.push_blob(b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "config": {"mediaType": OCI.config, "digest": config, "size": 2},
        "layers": [
            {"mediaType": OCI.layer, "digest": api.push_blob(each), "size": len(each)}
            for each in layers
        ],
        "annotations": {"note": note},
    }
    return json.dumps(document).encode()


def put(api: Api, reference: str, manifest: bytes) -> requests.Response:
    """Push a manifest."""
    headers = {"Content-Type": OCI.manifest}
    return api.call("PUT", f"manifests/{reference}", data=manifest, headers=headers)


def post(api: Api, data: bytes) -> requests.Response:
    """Push a blob in one request."""
    return api.call("POST", f"blobs/uploads/?digest={digest_of(data)}", data=data)


def refused_for_room(answer: requests.Response) -> None:
    """See that an answer says that there is no room."""
    assert answer.status_code == 507, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    (error,) = answer.json()["errors"]
    assert error["message"] == "no space left on the registry"


def test_a_disk_that_fills_up_in_a_patch(
    disk: Disk, server: Server, tmp_path: Path
) -> None:
    """What has arrived stays, and the upload goes on from there when there is room."""
    api = Api(server.url, "full")
    kept = random.Random("kept").randbytes(MIB)
    manifest = image_of(api, kept)
    expect(put(api, "v1", manifest), 201)
    garbage = Api(server.url, "garbage").push_blob(os.urandom(2 * MIB))
    data = random.Random("large").randbytes(6 * MIB)
    location = api.append(api.start(), data[:MIB])
    answer = api.call(
        "PATCH",
        location,
        data=data[MIB:],
        headers={"Content-Type": "application/octet-stream"},
    )
    refused_for_room(answer)
    assert api.pull_manifest("v1")[0] == manifest
    assert api.pull_blob(digest_of(kept)) == kept
    disk.fill()
    assert disk.free() == 0
    refused_for_room(post(api, b"a blob"))
    told = flaskreg("garbage-collect", "--grace", "0s", config_of(server, tmp_path))
    assert "freed 2.0 MiB: 1 blobs" in told
    assert api.call("HEAD", f"blobs/{garbage}").status_code == 404
    disk.empty()
    at = offset_of(api.status(location))
    assert MIB <= at < len(data)
    location = api.location(api.status(location))
    location = api.append(location, data[at : at + 32 * KIB], at)
    expect(api.call("DELETE", f"blobs/{digest_of(kept)}"), 202)
    api.session.close()
    rest = Api(server.url, "full")
    expect(rest.call("DELETE", "manifests/v1"), 202)
    expect(rest.call("DELETE", f"manifests/{digest_of(manifest)}"), 202)
    flaskreg("garbage-collect", "--grace", "0s", config_of(server, tmp_path))
    location = rest.append(location, data[at + 32 * KIB :], at + 32 * KIB)
    expect(rest.commit(location, digest_of(data)), 201)
    assert rest.pull_blob(digest_of(data)) == data
    assert "0 damaged" in flaskreg("fsck", "--deep", config_of(server, tmp_path))


def test_a_full_disk_at_each_write_of_a_push(
    disk: Disk, server: Server, tmp_path: Path
) -> None:
    """Whichever write fails, the tag names what it named, and all of that serves."""
    api = Api(server.url, "pages")
    old = image_of(api, b"old layer", note="old")
    expect(put(api, "latest", old), 201)
    statuses = []
    for pages in range(8):
        new = image_of(api, b"new layer", note=f"new {pages}")
        disk.fill(leave=pages * PAGE)
        answer = put(api, "latest", new)
        statuses.append(answer.status_code)
        if answer.status_code != 201:
            refused_for_room(answer)
            assert api.pull_manifest("latest")[0] == old
        else:
            assert api.pull_manifest("latest")[0] == new
            old = new
        assert api.pull_blob(digest_of(b"old layer")) == b"old layer"
        disk.empty()
        expect(put(api, "latest", new), 201)
        old = new
    assert statuses[0] == 507
    assert statuses[-1] == 201
    assert statuses == sorted(statuses, reverse=True)
    # Half a file would be seen here.
    assert "0 damaged, 0 garbage" in flaskreg("fsck", config_of(server, tmp_path))


def test_a_full_disk_at_the_end_of_an_upload(disk: Disk, server: Server) -> None:
    """The session stays, and its commit is right when it is asked for again."""
    api = Api(server.url, "commit")
    location = api.append(api.start(), b"all of it")
    disk.fill()
    answer = api.commit(location, digest_of(b"all of it"))
    if answer.status_code != 201:
        refused_for_room(answer)
        disk.empty()
        expect(api.commit(location, digest_of(b"all of it")), 201)
    assert api.pull_blob(digest_of(b"all of it")) == b"all of it"


def test_what_goes_on_with_a_full_disk(
    disk: Disk, server: Server, tmp_path: Path
) -> None:
    """Pulls, lists, deletes, the read-only switch, checks and collections."""
    api = Api(server.url, "goes/on")
    manifest = image_of(api, b"layer")
    for tag in ("a", "b"):
        expect(put(api, tag, manifest), 201)
    config = config_of(server, tmp_path)
    disk.fill()
    assert api.pull_manifest("a")[0] == manifest
    assert expect(api.call("GET", "tags/list"), 200).json()["tags"] == ["a", "b"]
    assert "0 damaged" in flaskreg("fsck", "--deep", config)
    assert flaskreg("readonly", "on", config) == "on\n"
    assert api.call("POST", "blobs/uploads/").status_code == 405
    assert flaskreg("readonly", "off", config) == "off\n"
    expect(api.call("DELETE", "manifests/a"), 202)
    expect(api.call("DELETE", f"manifests/{digest_of(manifest)}"), 202)
    told = flaskreg("garbage-collect", "--grace", "0s", config)
    assert "3 blobs, 0 manifests, 2 layer links" in told
    assert disk.free() > 0


def test_a_disk_that_is_read_only(disk: Disk, server: Server) -> None:
    """As a kernel makes it after an error: pulls go on, pushes say that they do not."""
    api = Api(server.url, "ro")
    manifest = image_of(api, b"layer")
    expect(put(api, "v1", manifest), 201)
    digest = digest_of(b"layer")
    disk.remount("ro")
    for answer in (
        post(api, b"a blob"),
        put(api, "v1", manifest),
        api.call("DELETE", "manifests/v1"),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
    assert api.pull_manifest("v1")[0] == manifest
    assert api.pull_blob(digest) == b"layer"
    assert api.call("HEAD", f"blobs/{digest}").status_code == 200
    disk.remount("rw")
    expect(put(api, "v2", image_of(api, b"another")), 201)


def ready(server: Server) -> bool:
    """Whether the registry says that it can be used; it believes itself for 10 s."""
    return requests.get(f"{server.url}/readyz", timeout=10).status_code == 200


@pytest.mark.parametrize("cause", ["full", "read-only"])
def test_readiness_follows_the_disk(disk: Disk, server: Server, cause: str) -> None:
    """Red while nothing can be written, and green again without a restart."""
    wait_until(lambda: len(server.workers()) == 2, 30, "both workers")
    workers = server.workers()
    assert ready(server)
    if cause == "full":
        disk.fill()
    else:
        disk.remount("ro")
    wait_until(lambda: not ready(server), 60, "red")
    assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
    disk.remount("rw")
    disk.empty()
    # Each worker has an answer of its own.
    wait_until(lambda: all(ready(server) for _ in range(10)), 60, "green")
    assert server.workers() == workers
    expect(put(Api(server.url, "again"), "v1", image_of(Api(server.url, "again"))), 201)


def test_a_full_disk_at_the_write_of_an_event(
    disk: Disk, launcher: Launcher, tmp_path: Path
) -> None:
    """What cannot be told is not accepted; pulls go on, and so do pushes with room."""
    endpoint = {"name": "dead", "url": "http://127.0.0.1:1/"}
    server = launcher.flaskreg(
        {
            "notifications": {
                "endpoints": [endpoint],
                "outbox": {"path": str(disk.path / "outbox")},
            }
        },
        workers=2,
        root=tmp_path / "registry",
    )
    api = Api(server.url, "events")
    manifest = image_of(api, b"layer")
    expect(put(api, "v1", manifest), 201)
    disk.fill()
    refused = 0
    for number in range(200):
        data = b"blob %d" % number
        answer = post(api, data)
        if answer.status_code == 201:
            continue
        refused_for_room(answer)
        refused += 1
        assert api.pull_manifest("v1")[0] == manifest
        assert api.pull_blob(digest_of(b"layer")) == b"layer"
        if refused == 3:
            break
    assert refused == 3
    disk.empty()
    expect(post(api, data), 201)
    expect(put(api, "v2", image_of(api, b"another")), 201)
    told = flaskreg("events", "list", "--json", config_with(server, tmp_path, disk))
    assert digest_of(data) in told


def config_with(server: Server, folder: Path, disk: Disk) -> Path:
    """Return the configuration of a server with its outbox, for a command."""
    path = config_of(server, folder)
    with path.open("a") as file:
        endpoint = "{name: dead, url: 'http://127.0.0.1:1/'}"
        outbox = f"{{path: {disk.path}/outbox}}"
        file.write(f"notifications: {{endpoints: [{endpoint}], outbox: {outbox}}}\n")
    return path


def limit(pid: int, count: int) -> None:
    """Let a process have so many open files, and no more."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, hard))


def test_no_descriptors_left(launcher: Launcher, tmp_path: Path) -> None:
    """The worker lives, refuses in JSON what it cannot do, and then goes on."""
    server = launcher.flaskreg(workers=1)
    api = Api(server.url, "fds")
    manifest = image_of(api, b"layer", os.urandom(300 * KIB))
    expect(put(api, "v1", manifest), 201)
    (worker,) = server.workers()
    # Nothing can be opened, and the connection is there.
    limit(worker, 3)
    for answer in (
        api.call("GET", f"blobs/{digest_of(b'layer')}"),
        api.call("GET", "manifests/v1"),
        post(api, b"a blob"),
        put(api, "v2", manifest),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
    # No further connection is accepted; those that wait are, when there is room.
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.host, timeout=60)) for _ in range(20)]
        for wire in wires:
            wire.head("GET", "/v2/fds/tags/list", {})
        wait_until(lambda: "be accepted" in server.text(), 30, "the worker to tell")
        limit(worker, 4096)
        for wire in wires:
            assert json.loads(wire.read("GET").body)["tags"] == ["v1"]
    wait_until(lambda: answers(server), 60, "the registry to answer again")
    assert server.workers() == [worker], "the worker died"
    api = Api(server.url, "fds")
    assert api.pull_manifest("v1")[0] == manifest
    expect(put(api, "v2", image_of(api, b"another")), 201)
    assert "0 damaged" in flaskreg("fsck", "--deep", config_of(server, tmp_path))


def answers(server: Server) -> bool:
    """Whether a new connection gets an answer."""
    try:
        return requests.get(f"{server.url}/v2/", timeout=3).status_code == 200
    except requests.RequestException:
        return False


def test_a_worker_that_runs_out_of_memory(launcher: Launcher, tmp_path: Path) -> None:
    """The kernel kills it in the middle of a push; another takes its place at once."""
    server = launcher.flaskreg(workers=2)
    api = Api(server.url, "oom")
    manifest = image_of(api, b"layer")
    expect(put(api, "v1", manifest), 201)
    data = os.urandom(MIB)
    killed = 0
    for number in range(6):
        location = Api(server.url, "oom").append(api.start(), data[: 200 * KIB])
        before = server.workers()
        # What the kernel sends when there is no memory left.
        subprocess.run([need("kill"), "-KILL", str(before[number % 2])], check=True)
        killed += 1
        wait_until(
            lambda b=before: len(server.workers()) == 2 and server.workers() != b,
            30,
            "another worker",
        )
        again = Api(server.url, "oom")
        status: Any = None

        def asked(api: Api = again, at: str = location) -> bool:
            nonlocal status
            with suppress(requests.RequestException):
                status = api.status(at)
                return bool(status.status_code == 204)
            return False

        wait_until(asked, 30, "the session to be told of")
        at = offset_of(status)
        assert at == 200 * KIB
        location = again.append(again.location(status), data[at:], at)
        expect(again.commit(location, digest_of(data)), 201)
        assert again.pull_manifest("v1")[0] == manifest
    assert killed == 6
    assert "0 damaged" in flaskreg("fsck", "--deep", config_of(server, tmp_path))
