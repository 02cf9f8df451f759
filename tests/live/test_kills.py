"""kill -9 in the middle of pushes: of a worker, many times, and of the whole server.

What was acknowledged is there with its own bytes. What never came to its last request
is not served, and its session can be gone on with.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from http.client import HTTPException
from typing import Any

import pytest
import requests

from .api import Api
from .api import expect
from .images import KIB
from .images import MIB
from .images import OCI
from .images import digest_of
from .servers import Server
from .tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

PUSHERS = 6
ROUNDS = 40


@dataclass
class Record:
    """What the pushers were told, and what they were not told."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    #: tag -> digest.
    tags: dict[str, str] = field(default_factory=dict)
    #: digest -> location and content of a session whose last request was never sent.
    unfinished: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    #: digests whose last request was sent and not answered.
    unsure: set[str] = field(default_factory=set)


def push_one(api: Api, record: Record, choose: random.Random, tag: str) -> None:
    """Push one blob and one manifest over it, noting how far it came."""
    data = choose.randbytes(choose.randrange(64 * KIB, 2 * MIB))
    digest = digest_of(data)
    location = api.start()
    record.unfinished[digest] = (location, data)
    half = len(data) // 2
    location = api.append(location, data[:half], 0)
    record.unfinished[digest] = (location, data)
    location = api.append(location, data[half:], half)
    record.unfinished.pop(digest)
    record.unsure.add(digest)
    expect(api.commit(location, digest), 201)
    record.unsure.discard(digest)
    record.blobs[digest] = data

    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "config": {"mediaType": OCI.config, "digest": digest, "size": len(data)},
        "layers": [],
        "annotations": {"tag": tag},
    }
    document = json.dumps(manifest).encode()
    record.unsure.add(digest_of(document))
    api.push_manifest(tag, document, OCI.manifest)
    record.unsure.discard(digest_of(document))
    record.manifests[digest_of(document)] = document
    record.tags[tag] = digest_of(document)


def push_on(server: Server, name: str, record: Record, stop: threading.Event) -> None:
    """Push until told to stop; a connection that dies is a push given up.

    The content is new each time: a blob of an earlier round would be there already.
    """
    choose = random.Random()
    number = 0
    while not stop.is_set():
        number += 1
        api = Api(server.url, name, timeout=20)
        try:
            push_one(api, record, choose, f"t{number}")
        except (requests.RequestException, HTTPException, OSError):
            time.sleep(0.01)


@contextmanager
def pushers(server: Server) -> Iterator[dict[str, Record]]:
    """Keep several clients pushing, each to a repository of its own."""
    stop = threading.Event()
    records = {f"kills/pusher{number}": Record() for number in range(PUSHERS)}
    threads = [
        threading.Thread(target=push_on, args=(server, name, record, stop), daemon=True)
        for name, record in records.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield records
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def check_all(server: Server, records: dict[str, Record]) -> None:
    """Check everything that must hold after any number of kills."""
    for name, record in records.items():
        api = Api(server.url, name)
        for digest, data in record.blobs.items():
            assert api.pull_blob(digest) == data
        for digest, document in record.manifests.items():
            assert api.pull_manifest(digest)[0] == document
        for tag, digest in record.tags.items():
            assert digest_of(api.pull_manifest(tag)[0]) == digest
        for digest in record.unfinished:
            assert api.call("GET", f"blobs/{digest}").status_code == 404
        for digest in record.unsure:
            for kind in ("blobs", "manifests"):
                headers = {"Accept": "*/*"}
                answer = api.call("GET", f"{kind}/{digest}", headers=headers)
                assert answer.status_code in {200, 404}
                if answer.status_code == 200:
                    assert digest_of(answer.content) == digest
    check_tree(server)


def check_tree(server: Server) -> None:
    """Check that every stored blob is what its name says, and every link whole."""
    for file in server.tree.glob("blobs/sha256/*/*/data"):
        assert digest_of(file.read_bytes()) == f"sha256:{file.parent.name}"
    for link in server.tree.glob("repositories/**/link"):
        digest = link.read_text()
        encoded = digest.removeprefix("sha256:")
        assert len(encoded) == 64, f"{link}: {digest!r}"
        assert (server.tree / "blobs/sha256" / encoded[:2] / encoded / "data").exists()


def go_on(server: Server, records: dict[str, Record]) -> int:
    """Finish the sessions that were left behind, from the offset that they tell."""
    finished = 0
    for name, record in records.items():
        api = Api(server.url, name)
        for digest, (location, data) in record.unfinished.items():
            status = expect(api.status(location), 204)
            session = status.headers["Docker-Upload-UUID"]
            path = server.tree / "repositories" / name / "_uploads" / session / "data"
            at = path.stat().st_size if path.exists() else 0
            location = api.location(status)
            if at < len(data):
                location = api.append(location, data[at:], at)
            expect(api.commit(location, digest), 201)
            assert api.pull_blob(digest) == data
            finished += 1
    return finished


def test_workers_killed_while_pushing(start_flaskreg: Any) -> None:
    """A worker dies at a random moment, forty times, among six clients that push."""
    server: Server = start_flaskreg(workers=3)
    choose = random.Random("kills")
    with pushers(server) as records:
        for _ in range(ROUNDS):
            time.sleep(choose.uniform(0.03, 0.3))
            wait_until(lambda: bool(server.workers()), 20, "a worker to be there")
            os.kill(choose.choice(server.workers()), signal.SIGKILL)
    wait_until(lambda: len(server.workers()) == 3, 20, "three workers again")
    pushed = sum(len(record.tags) for record in records.values())
    assert pushed > ROUNDS, "the kills left hardly a push whole: a test of nothing"
    check_all(server, records)
    go_on(server, records)
    check_all(server, {name: clean(record) for name, record in records.items()})


def clean(record: Record) -> Record:
    """Return a record whose unfinished sessions are finished now."""
    return Record(record.blobs, record.manifests, record.tags, {}, record.unsure)


def test_server_killed_and_started_again(start_flaskreg: Any) -> None:
    """The whole server dies while clients push; the next one serves the same tree."""
    server: Server = start_flaskreg(workers=2)
    kept: dict[str, Record] = {}
    finished = 0
    for round_number in range(6):
        with pushers(server) as records:
            time.sleep(0.4 + round_number / 10)
            server.kill()
        server = start_flaskreg(workers=2, root=server.root, port=server.port)
        check_all(server, records)
        finished += go_on(server, records)
        for name, record in records.items():
            kept.setdefault(name, Record()).blobs.update(record.blobs)
    assert finished, "no session was ever left behind: a test of nothing"
    check_all(server, kept)
