"""A cache of the tests: content with its links on a real driver, and a scheduler."""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

from flaskreg_proxy.scheduling import Job
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling import Pace
from flaskreg_proxy.scheduling import Scheduler
from flaskreg_proxy.scheduling.clock import Clock

from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.defaults.memorycache import MemoryCache
from flaskreg.defaults.ocimanifests import flaskreg_register_manifest_types
from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import paths
from flaskreg.storage.registry import LocalRegistry


DAY = 24 * 3600.0

#: quick enough for a test with processes; the expiry of workers is long enough for a
#: machine that is busy.
QUICK = Pace(beat=0.05, expiry=10.0, save=0.5, renew=0.1, spare=1.0, batch=64)


class Now(Clock):
    """A clock that goes when it is told to; the wall clock can be set on its own."""

    def __init__(self, steady: float = 5000.0, wall: float = 1_800_000_000.0) -> None:
        self.now = steady
        self.ahead = wall - steady
        self.run = "one"

    def wall(self) -> float:
        return self.now + self.ahead

    def steady(self) -> float:
        return self.now

    def boot(self) -> str:
        return self.run


class Cached:
    """One worker with a registry and a scheduler over a driver."""

    def __init__(
        self,
        driver: StorageDriver,
        limits: Limits,
        clock: Clock | None = None,
        pace: Pace = QUICK,
        prefix: str = "",
        jobs: Sequence[Job] = (),
    ) -> None:
        self.driver = driver
        self.clock = clock or Clock()
        self.cache = MemoryCache(1000)
        self.registry = LocalRegistry(
            driver, self.cache, flaskreg_register_manifest_types()
        )
        self.scheduler = Scheduler(
            driver,
            limits,
            cache=self.cache,
            covers=lambda name: name.startswith(prefix),
            jobs=jobs,
            pace=pace,
            clock=clock,
        )

    def fill(self, name: str, content: bytes) -> Digest:
        """Cache a blob as a pull does: pinned until it is linked and touched."""
        digest = Digest.of(content)
        with self.scheduler.pinned(digest):
            session = self.registry.repository(name).uploads.start()
            session.commit(digest, [content])
            self.scheduler.touch(name, "blob", digest, len(content))
        return digest

    def manifest(self, name: str, content: bytes, tag: str | None = None) -> Digest:
        """Cache a manifest."""
        digest = Digest.of(content)
        with self.scheduler.pinned(digest):
            self.registry.repository(name).manifests().put(
                content,
                "application/vnd.oci.image.index.v1+json",
                tags=[tag] if tag else [],
            )
            self.scheduler.touch(name, "manifest", digest, len(content))
        return digest

    def use(self, name: str, digest: Digest) -> None:
        """Serve a blob from the cache."""
        with self.scheduler.pinned(digest):
            size = self.registry.repository(name).blobs.stat(digest).size
            self.scheduler.touch(name, "blob", digest, size)

    def linked(self, name: str, digest: Digest) -> bool:
        """Whether a repository links a blob or a manifest."""
        families = (paths.layer, paths.revision)
        return any(self.there(f"{each(name, digest)}/link") for each in families)

    def stored(self, digest: Digest) -> bool:
        """Whether content is on the disk."""
        return self.there(paths.blob_data(digest))

    def there(self, path: str) -> bool:
        try:
            self.driver.stat(path)
        except PathNotFound:
            return False
        return True

    def state(self) -> bytes:
        """Return the state file."""
        return self.driver.get_content("/scheduler-state.json")

    def ticks(self, count: int = 4) -> None:
        """Let the scheduler look some times: a round of removals takes three."""
        for _ in range(count):
            self.scheduler.tick()


def make_driver(root: Path | str) -> FilesystemDriver:
    """Return a driver of files."""
    return FilesystemDriver(str(root))


def bytes_stored(root: Path) -> int:
    """Return the bytes of all content on the disk."""
    blobs = root / "docker/registry/v2/blobs"
    return sum(
        _size(Path(folder) / "data")
        for folder, _, names in os.walk(blobs)
        if "data" in names
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def contents(count: int, size: int = 1000, seed: str = "") -> Iterable[bytes]:
    """Yield different contents of one size."""
    for number in range(count):
        yield f"{seed}-{number}-".encode().ljust(size, b"x")
