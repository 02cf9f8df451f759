"""The outbox under gunicorn: killed at any moment, and full of events."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
import yaml
from flaskreg_notifications.outbox import Entry
from flaskreg_notifications.outbox import Outbox
from receiver import eventually

from flaskreg.digest import Digest


pytestmark = pytest.mark.live


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """A server with three workers and some endpoints."""

    def __init__(self, folder, *urls):
        self.folder = folder
        self.outbox = folder / "root" / "flaskreg" / "outbox"
        endpoints = [
            {"name": f"e{at}", "url": url, "backoff": "50ms"}
            for at, url in enumerate(urls)
        ]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.yml"
        document = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "root")}},
            "http": {"addr": f"127.0.0.1:{self.port}", "workers": 3},
            "notifications": {"endpoints": endpoints},
        }
        self.config.write_text(yaml.safe_dump(document))
        self.start()

    def start(self):
        """Start it, and wait until it answers."""
        self.log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("flaskreg"), "serve", str(self.config)],
            stdout=self.log,
            stderr=self.log,
        )
        eventually(self.answers, "it answers")

    def answers(self):
        """Whether it answers."""
        try:
            return requests.get(f"{self.url}/v2/", timeout=5).ok
        except requests.ConnectionError:
            return False

    def workers(self):
        """Return the processes of the workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(each) for each in children.split()]

    def memory(self):
        """Return what the workers have in memory for themselves, in bytes."""
        total = 0
        for pid in self.workers():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
        return total

    def push(self, content, name="a"):
        """Push a blob, and return its digest when it was answered 201."""
        digest = Digest.of(content)
        url = f"{self.url}/v2/{name}/blobs/uploads/?digest={digest}"
        try:
            answer = requests.post(url, data=content, timeout=30)
        except requests.RequestException:
            return None
        return digest if answer.status_code == 201 else None

    def kill(self):
        """End every process of it without warning."""
        for pid in [self.process.pid, *self.workers()]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(60)
        self.log.close()

    def stop(self):
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.log.close()


@pytest.fixture
def make_registry(tmp_path):
    """Return a function that starts a server."""
    made = []

    def make(*urls):
        registry = Registry(tmp_path, *urls)
        made.append(registry)
        return registry

    yield make
    for registry in made:
        registry.stop()
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_no_push_that_was_answered_goes_untold(make_registry, make_receiver):
    """Workers and the whole server are killed in the middle, four times."""
    receiver = make_receiver(lambda _event, times: 200 if times % 2 else 500)
    registry = make_registry(receiver.url)
    answered, ended = [], threading.Event()

    def pusher(name):
        at = 0
        while not ended.is_set():
            digest = registry.push(f"{name} {at}".encode(), name)
            if digest is not None:
                answered.append((name, digest))
            at += 1
            time.sleep(0.01)

    threads = [threading.Thread(target=pusher, args=(n,)) for n in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.7)
        for pid in registry.workers():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.7)
        registry.kill()
        registry.start()
    time.sleep(0.5)
    ended.set()
    for thread in threads:
        thread.join(60)

    def told():
        found = {
            (event["target"]["repository"], event["target"]["digest"])
            for event in list(receiver.taken)
        }
        return found >= set(answered)

    assert len(answered) > 20
    eventually(told, "all that was answered is told", 120)


def test_one_process_sends(make_registry, make_receiver):
    """Each event comes once when nothing fails, whichever worker took the push."""
    receiver = make_receiver()
    registry = make_registry(receiver.url)
    for at in range(60):
        assert registry.push(str(at).encode())
    receiver.wait(60)
    time.sleep(1)
    assert set(receiver.came.values()) == {1}


def test_what_waits_takes_no_memory(make_registry, make_receiver):
    """A hundred thousand events for an endpoint that is gone, and one that is not."""
    receiver = make_receiver()
    registry = make_registry("http://127.0.0.1:1/", receiver.url)
    for at in range(100):
        assert registry.push(str(at).encode())
    receiver.wait(100)
    before = registry.memory()
    outbox = Outbox(registry.outbox)
    body = (
        '{"id":"%d","action":"push","target":{"repository":"r%d","digest":"sha256:'
        + "0" * 64
        + '","mediaType":"x"},"source":{"addr":"a"},"timestamp":"t"}'
    )
    for first in range(0, 100_000, 10_000):
        outbox.put(
            Entry("e0", f"r{at % 1000}", str(at), time.time(), body % (at, at % 1000))
            for at in range(first, first + 10_000)
        )
    outbox.close()
    for at in range(100, 200):
        assert registry.push(str(at).encode())
    receiver.wait(200)
    time.sleep(2)
    assert registry.memory() - before < 16 << 20
