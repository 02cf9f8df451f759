"""Worker processes: each does what it is told over its standard input.

Run as a program this file is such a worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cached import QUICK
from cached import Cached
from flaskreg_proxy.scheduling import GuardedRepository
from flaskreg_proxy.scheduling import Limits

from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest


#: seconds that anything here may take on a busy machine.
PATIENCE = 60.0


class Actor:
    """A worker process over a storage of files."""

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(root), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.read()

    def do(self, action: str, *arguments: Any) -> Any:
        """Have something done, and return what comes of it."""
        self.begin(action, *arguments)
        return self.read()

    def begin(self, action: str, *arguments: Any) -> None:
        """Have something begun, whose outcome is read later."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([action, *arguments]) + "\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        """Return what comes of what was begun."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the worker has ended"
        return json.loads(line)

    def fill(self, name: str, content: bytes) -> Digest:
        """Cache a blob."""
        return parse_digest(self.do("fill", name, content.decode()))

    def close(self) -> None:
        """End it in order."""
        self.do("close")
        self.process.communicate(timeout=PATIENCE)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it with ``kill -9``, if it runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def wait_for(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class SlowDriver(FilesystemDriver):
    """Files whose deletes take a while, as on a busy disk or over a network."""

    def __init__(self, root: str, delay: float) -> None:
        super().__init__(root)
        self._delay = delay

    def delete(self, path: str, *, durable: bool = True) -> None:
        if "/blobs/" in path:
            time.sleep(self._delay)
        super().delete(path, durable=durable)


class Stage:
    """What a worker process can do."""

    def __init__(self, root: str, settings: dict[str, Any]) -> None:
        self.prefix = settings.pop("prefix", "")
        driver = SlowDriver(root, settings.pop("slow", 0.0))
        self.cached = Cached(driver, Limits(**settings), prefix=self.prefix)
        self.held = contextlib.ExitStack()
        self.cached.scheduler.start()

    def fill(self, name: str, content: str) -> str:
        return self.cached.fill(name, content.encode())

    def use(self, name: str, digest: str) -> None:
        self.cached.use(name, parse_digest(digest))

    def pin(self, digest: str) -> None:
        self.held.enter_context(self.cached.scheduler.pinned(parse_digest(digest)))

    def unpin(self) -> None:
        self.held.close()

    def fill_many(self, name: str, count: int, size: int, seed: str) -> int:
        """Cache many blobs, each when there is room; return how many there was."""
        done = 0
        for number in range(count):
            content = f"{seed}-{number}-".encode().ljust(size, b"x")
            with self.cached.scheduler.room(size, PATIENCE) as given:
                if given:
                    self.cached.fill(name, content)
                    done += 1
        return done

    def push_many(self, name: str, contents: list[str], seconds: float) -> list[int]:
        """Push blobs over and over, and count how often one was not there after."""
        repository = GuardedRepository(
            self.cached.registry.repository(name), self.cached.scheduler.hold
        )
        pushed, lost = 0, 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or pushed < 20:
            content = random.choice(contents).encode()
            digest = Digest.of(content)
            repository.uploads.start().commit(digest, [content])
            pushed += 1
            # Linked as it is now, it may not go.
            time.sleep(random.uniform(0.0, 0.02))
            lost += not self.cached.stored(digest)
            self.cached.registry.repository(name).blobs._links.unlink(digest)
        return [pushed, lost]

    def pull_many(self, name: str, contents: list[str], seconds: float) -> list[int]:
        """Pull blobs over and over, filling what is missing; count wrong bytes."""
        pulled, wrong, missed = 0, 0, 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for content in contents:
                got = self._pull(name, content.encode())
                pulled += 1
                missed += got is None
                wrong += got not in (None, content.encode())
        return [pulled, wrong, missed]

    def _pull(self, name: str, content: bytes) -> bytes | None:
        digest = Digest.of(content)
        scheduler = self.cached.scheduler
        blobs = self.cached.registry.repository(name).blobs
        with scheduler.pinned(digest):
            if not self.cached.linked(name, digest):
                self.cached.fill(name, content)
            with blobs.open(blobs.stat(digest)) as reader:
                got = reader.read()
            scheduler.touch(name, "blob", digest, len(content))
        return got

    def close(self) -> None:
        self.cached.scheduler.close()


def main() -> None:
    """Do what standard input says, until it ends."""
    stage = Stage(sys.argv[1], json.loads(sys.argv[2]))
    print("null", flush=True)
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        print(json.dumps(getattr(stage, action)(*arguments)), flush=True)
    os._exit(0 if threading.active_count() else 1)


if __name__ == "__main__":
    assert QUICK.beat < 1
    main()
