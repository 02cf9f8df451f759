"""Garbage collection and checks beside a registry that serves, and on others' trees."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from .api import Api
from .api import expect
from .clients import remote
from .clients import skopeo_copy
from .images import KIB
from .images import OCI
from .images import Layout
from .images import digest_of
from .images import make_layout
from .servers import Launcher
from .servers import Server
from .servers import distribution_command
from .servers import settings
from .tools import run
from .tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-c", "from flaskreg.cli import main; main()"]


def config_of(server: Server, folder: Path) -> Path:
    """Write the configuration of a server, as an operator has it at hand."""
    path = folder / f"config-{server.port}.yml"
    path.write_text(yaml.safe_dump(settings(server.port, server.root)))
    return path


def flaskreg(*arguments: object, check: bool = True) -> str:
    """Run a command of flaskreg; return what it printed."""
    done = run([*COMMAND, *map(str, arguments)], check=check, timeout=250)
    return done.stdout + ("" if check else done.stderr)


def blobs_in(root: Path) -> set[str]:
    """Return the digests of all content of a tree."""
    files = root.glob("docker/registry/v2/blobs/sha256/*/*/data")
    return {f"sha256:{path.parent.name}" for path in files}


@pytest.mark.parametrize("untagged", [False, True])
def test_the_same_as_distribution_on_its_own_tree(
    launcher: Launcher,
    tmp_path: Path,
    image: Layout,
    multi_arch: Layout,
    docker_list: Layout,
    *,
    untagged: bool,
) -> None:
    """What distribution's collector leaves of a tree it wrote, ours leaves as well."""
    theirs = launcher.distribution("3")
    for name, layout in (("a", image), ("b/c", multi_arch), ("b/d", docker_list)):
        Api(theirs.url, name).push(layout, "latest")
    gone = make_layout(tmp_path / "gone", seed="gone")
    api = Api(theirs.url, "a")
    api.push(gone, "latest")
    api.push(image, "latest")
    lost = make_layout(tmp_path / "lost", seed="lost")
    Api(theirs.url, "b/lost").push(lost, "latest")
    expect(Api(theirs.url, "b/lost").call("DELETE", f"manifests/{lost.digest}"), 202)
    loose = api.push_blob(b"nobody refers to this")
    theirs.stop()
    config = config_of(theirs, tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(theirs.root, copy)
    flags = ["--delete-untagged"] if untagged else []
    command = distribution_command("3")[:1]
    told = run([*command, "garbage-collect", *flags, str(config)]).stdout
    other = tmp_path / "copy.yml"
    other.write_text(yaml.safe_dump(settings(1, copy)))
    before = blobs_in(copy)
    ours = flaskreg("garbage-collect", "--grace", "0s", *flags, other)
    assert blobs_in(copy) == blobs_in(theirs.root) < before
    assert loose not in blobs_in(copy)
    assert (gone.digest in blobs_in(copy)) is not untagged
    summary = "eligible for deletion\n"
    assert [line for line in told.splitlines(True) if line.endswith(summary)] == [
        line for line in ours.splitlines(True) if line.endswith(summary)
    ]
    assert "0 damaged" in flaskreg("fsck", "--deep", "--rate", "0", other)
    again = launcher.flaskreg(root=copy, workers=1)
    for name, layout in (("a", image), ("b/c", multi_arch), ("b/d", docker_list)):
        Api(again.url, name).check_holds(layout, "latest")
        skopeo_copy(
            f"{remote(again, name)}:latest", f"oci:{tmp_path}/{layout.digest[7:20]}:x",
            "--all",
        )  # fmt: skip


class Pushers:
    """Clients that push images of shared old layers, each after a HEAD, and delete."""

    def __init__(self, server: Server, seed: int) -> None:
        self.choose = random.Random(seed)
        self.api = Api(server.url, f"soak/{seed % 2}")
        self.seed = seed
        self.pushed = self.refused = 0

    def push(self, number: int) -> None:
        """Push one image, look that all of it serves, and delete it."""
        layers = [b"{}"] + [
            f"layer {self.choose.randrange(6)}".encode() * 100 for _ in range(3)
        ]
        for layer in layers:
            digest = digest_of(layer)
            if self.api.call("HEAD", f"blobs/{digest}").status_code == 404:
                self.api.push_blob(layer)
        config, *rest = (
            {"mediaType": kind, "digest": digest_of(each), "size": len(each)}
            for kind, each in zip([OCI.config, *[OCI.layer] * 3], layers, strict=True)
        )
        document = {"schemaVersion": 2, "mediaType": OCI.manifest, "config": config}
        document["layers"] = rest
        document["annotations"] = {"n": f"{self.seed} {number}"}
        data = json.dumps(document).encode()
        tag = f"t{self.seed}-{number % 3}"
        answer = self.api.call(
            "PUT", f"manifests/{tag}", data=data, headers={"Content-Type": OCI.manifest}
        )
        if answer.status_code != 201:
            assert answer.status_code in (400, 503), answer.text
            self.refused += 1
            return
        self.pushed += 1
        assert self.api.pull_manifest(tag)[0] == data
        for layer in layers:
            self.api.pull_blob(digest_of(layer))
        if self.choose.random() < 0.7:
            expect(self.api.call("DELETE", f"manifests/{digest_of(data)}"), 202)


@contextmanager
def running(targets: list[Any]) -> Iterator[list[BaseException]]:
    """Run each target again and again in a thread of its own, until the end."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def loop(target: Any) -> None:
        number = 0
        try:
            while not stop.is_set():
                target(number)
                number += 1
        except BaseException as error:  # noqa: BLE001 - the test reports it
            failures.append(error)

    threads = [threading.Thread(target=loop, args=(each,)) for each in targets]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


@pytest.mark.parametrize("grace", ["0s", "1h"])
def test_pushes_and_deletes_beside_collections(
    launcher: Launcher, tmp_path: Path, grace: str
) -> None:
    """Each push that is acknowledged pulls fully; with a grace none is refused."""
    server = launcher.flaskreg(workers=2)
    config = config_of(server, tmp_path)
    pushers = [Pushers(server, seed) for seed in range(4)]
    with running([each.push for each in pushers]) as failures:
        for _ in range(8):
            flaskreg("garbage-collect", "-m", "-q", "--grace", grace, config)
    assert failures == []
    pushed = sum(each.pushed for each in pushers)
    refused = sum(each.refused for each in pushers)
    assert pushed > 20
    if grace != "0s":
        assert refused == 0
    flaskreg("garbage-collect", "-m", "--grace", "0s", config)
    print(f"grace {grace}: {pushed} pushes acknowledged, {refused} refused")
    assert "0 damaged" in flaskreg("fsck", "--deep", "--rate", "0", config)


def test_killed_in_the_middle_of_a_sweep(
    launcher: Launcher, tmp_path: Path, multi_arch: Layout
) -> None:
    """kill -9 at any moment: all that is tagged serves, and the next one ends it."""
    server = launcher.flaskreg(workers=1)
    config = config_of(server, tmp_path)
    api = Api(server.url, "kept")
    api.push(multi_arch, "latest")
    kept = blobs_in(server.root)
    choose = random.Random("kill")
    for number in range(300):
        loose = Api(server.url, f"loose/{number % 3}")
        loose.push_blob(choose.randbytes(KIB) + str(number).encode())
    kills = 0
    for attempt in range(40):
        before = len(blobs_in(server.root))
        if before == len(kept):
            break
        process = subprocess.Popen(
            [*COMMAND, "garbage-collect", "-q", "-m", "--grace", "0s", str(config)]
        )
        mark = server.root / "flaskreg/sweep/active"
        wait_until(
            lambda p=process, b=before: (
                len(blobs_in(server.root)) < b or p.poll() is not None
            ),
            60,
            "the sweep to begin",
        )
        time.sleep(0.002 * attempt)
        if process.poll() is None:
            kills += 1
            process.send_signal(signal.SIGKILL)
        process.wait(20)
        api.check_holds(multi_arch, "latest")
        assert mark.exists()
    assert kills > 1
    flaskreg("garbage-collect", "-m", "--grace", "0s", config)
    assert blobs_in(server.root) == kept
    assert not list((server.root / "flaskreg/sweep/active").iterdir())
    assert "0 damaged, 0 garbage" in flaskreg("fsck", "--deep", config)


def test_read_only_on_all_workers_at_once(launcher: Launcher, tmp_path: Path) -> None:
    """When the command ends no worker takes a write, and all do after the other."""
    server = launcher.flaskreg(workers=4)
    other = launcher.flaskreg(root=server.root, workers=1)
    config = config_of(server, tmp_path)
    for _ in range(2):
        for state, expected in (("on", 405), ("off", 202)):
            flaskreg("readonly", state, config)
            for node in (server, other):
                answers = {
                    requests.post(f"{node.url}/v2/r/blobs/uploads/", timeout=30)
                    for _ in range(20)
                }
                assert {each.status_code for each in answers} == {expected}
                assert requests.get(f"{node.url}/v2/", timeout=30).status_code == 200


def test_uploads_are_purged_by_a_running_server(launcher: Launcher) -> None:
    """One that is idle goes; one that goes on stays, though it was started before."""
    purging = {"enabled": True, "age": "4s", "interval": "1s", "dryrun": False}
    config = {"storage": {"maintenance": {"uploadpurging": purging}}}
    server = launcher.flaskreg(config, workers=2)
    api = Api(server.url, "purged")
    active, idle = (api.append(api.start(), b"begun") for _ in range(2))
    began = time.monotonic()
    while api.status(idle).status_code == 204:
        assert time.monotonic() - began < 60
        active = api.append(active, b"x" * 10)
        time.sleep(0.5)
    assert expect(api.status(active), 204)
    folder = server.tree / "repositories/purged/_uploads"
    assert len(list(folder.iterdir())) == 1
    wait_until(lambda: not list(folder.iterdir()), 60, "the other one to go as well")
    assert server.text().count("purged 1 uploads") == 2


def test_fsck_beside_pushes(launcher: Launcher, tmp_path: Path) -> None:
    """It finds no damage in what is being pushed and deleted."""
    server = launcher.flaskreg(workers=2)
    config = config_of(server, tmp_path)
    pushers = [Pushers(server, seed) for seed in range(3)]
    with running([each.push for each in pushers]) as failures:
        for flags in ((), ("--deep",), ("--repair",), ("--deep", "--repair")):
            told = flaskreg("fsck", *flags, config)
            assert " 0 damaged" in told, told
            assert " 0 healed" in told, told
    assert failures == []
    assert sum(each.refused for each in pushers) == 0
    assert os.listdir(server.root)
