"""Measure what requests cost as content grows: ``python benchmarks/growth.py``.

Content is made on the disk directly, in the layout that the registry keeps, and read
over HTTP from one gunicorn worker. It writes ``GROWTH.md`` and, with matplotlib,
``growth.png``. ``--smoke`` does a little of all of it and writes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import importlib
import json
import math
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from run import HERE
from run import Server
from run import free_port
from run import machine
from run import running
from run import write_configuration


GIB = 1 << 30
MIB = 1 << 20

#: bytes that stay free on the disk beside the large upload.
SPARE = 6 * GIB

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
PAGE = 100
NAME = "growth"


@dataclass
class Row:
    """One kind of request, with its cost at each size."""

    name: str
    unit: str
    #: sizes with the time of the first request and of later ones, in milliseconds.
    points: list[tuple[int, float, float]] = field(default_factory=list)

    def growth(self, column: int) -> str:
        """Return how a cost grows between the two largest sizes, that fill a page."""
        first, last = self.points[-2:]
        slope = math.log(last[column] / first[column]) / math.log(last[0] / first[0])
        return named(slope)


def named(slope: float) -> str:
    """Return the name of a growth by the exponent of its power."""
    if slope < 0.1:
        return "constant"
    if slope < 0.6:
        return "less than linear"
    return "linear" if slope < 1.2 else "more than linear"


# Content, written as the registry writes it


@dataclass(frozen=True)
class Store:
    """The directory tree of a registry.

    :param root: below which the layout begins.
    """

    root: Path

    @property
    def tree(self) -> Path:
        """Return where the layout begins."""
        return self.root / "docker/registry/v2"

    def blob(self, content: bytes) -> str:
        """Store content and return its digest."""
        encoded = hashlib.sha256(content).hexdigest()
        folder = self.tree / "blobs/sha256" / encoded[:2] / encoded
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").write_bytes(content)
        return f"sha256:{encoded}"

    def link(self, *parts: str, digest: str) -> None:
        """Write a link below the repositories."""
        folder = self.tree.joinpath("repositories", *parts)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "link").write_text(digest)

    def manifest(self, name: str, **members: Any) -> str:
        """Store a manifest in a repository and return its digest."""
        config = self.blob(b"{}")
        self.link(name, "_layers/sha256", config.partition(":")[2], digest=config)
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "a/b", "digest": config, "size": 2},
            "layers": [],
            **members,
        }
        digest = self.blob(json.dumps(document).encode())
        encoded = digest.partition(":")[2]
        self.link(name, "_manifests/revisions/sha256", encoded, digest=digest)
        return digest


def make_tags(store: Store, name: str, count: int) -> None:
    """Let many tags name one manifest. Their histories are left out: none is read."""
    digest = store.manifest(name)
    for number in range(count):
        store.link(name, "_manifests/tags", f"t{number:06}", "current", digest=digest)


def make_repositories(store: Store, count: int) -> None:
    """Make many repositories that the catalog lists."""
    for number in range(count):
        folder = store.tree / "repositories" / f"r{number:06}" / "_manifests"
        folder.mkdir(parents=True)


def make_referrers(store: Store, name: str, count: int) -> str:
    """Let many manifests refer to one, and return its digest."""
    subject = store.manifest(name)
    encoded = subject.partition(":")[2]
    folder = store.tree / "repositories" / name / "_referrers/sha256" / encoded
    folder.mkdir(parents=True)
    for number in range(count):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        descriptor = {
            "mediaType": MANIFEST_TYPE,
            "digest": f"sha256:{digest}",
            "size": 400,
            "artifactType": "a/b",
        }
        (folder / f"sha256-{digest}").write_text(json.dumps(descriptor))
    return subject


# Requests


class Asker:
    """Asks one server on a connection that is kept.

    :param port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request, read the answer, and return it with its body."""
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:200]!r}")
        return response, content

    def time(self, path: str, seconds: float) -> tuple[float, float]:
        """Return the time of a first request and the median of later ones, in ms."""
        times = []
        end = time.perf_counter() + seconds
        while len(times) < 20 or time.perf_counter() < end:
            begin = time.perf_counter()
            self.ask("GET", path)
            times.append((time.perf_counter() - begin) * 1000)
        return times[0], statistics.median(times[1:])


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Server, Asker]]:
    """Run one worker on a store; it knows nothing yet of what is there."""
    port = free_port()
    configuration = write_configuration(folder, "store", port)
    command = [sys.executable, "-m", "gunicorn", "-w", "1", "wsgi:app"]
    with running(Server("gunicorn", command, port), configuration) as server:
        yield server, Asker(port)


#: a name, a unit, what is made, and the paths that are asked for.
Make = Callable[[Store, int], Sequence[tuple[str, str]]]


def tag_requests(store: Store, count: int) -> Sequence[tuple[str, str]]:
    """Return what is asked of a repository with so many tags."""
    make_tags(store, NAME, count)
    last = f"t{max(count - PAGE - 1, 0):06}"
    return [
        ("tags list, first page", f"/v2/{NAME}/tags/list?n={PAGE}"),
        ("tags list, last page", f"/v2/{NAME}/tags/list?n={PAGE}&last={last}"),
        ("manifest by tag", f"/v2/{NAME}/manifests/t{count // 2:06}"),
    ]


def catalog_requests(store: Store, count: int) -> Sequence[tuple[str, str]]:
    """Return what is asked of a catalog with so many repositories."""
    make_repositories(store, count)
    last = f"r{max(count - PAGE - 1, 0):06}"
    return [
        ("catalog, first page", f"/v2/_catalog?n={PAGE}"),
        ("catalog, last page", f"/v2/_catalog?n={PAGE}&last={last}"),
    ]


def referrer_requests(store: Store, count: int) -> Sequence[tuple[str, str]]:
    """Return what is asked of a subject with so many referrers."""
    subject = make_referrers(store, NAME, count)
    return [("referrers, first page", f"/v2/{NAME}/referrers/{subject}")]


def measure(make: Make, sizes: Sequence[int], unit: str, seconds: float) -> list[Row]:
    """Make content of each size and measure what is asked of it.

    Each path gets a server of its own, so that its first request finds nothing known.
    """
    rows: dict[str, Row] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for title, path in make(Store(folder / "store"), size):
                with serving(folder) as (_, asker):
                    asker.ask("GET", "/v2/")
                    point = (size, *asker.time(path, seconds))
                rows.setdefault(title, Row(title, unit)).points.append(point)
                print(f"{title}, {size} {unit}: {point[1]:.2f} ms, {point[2]:.2f} ms")
    return list(rows.values())


# A large upload


@dataclass(frozen=True)
class Upload:
    """What an upload of a size took."""

    size: int
    seconds: float
    before: float
    peak: float
    after: float
    #: seconds of the request that closed it.
    closing: float


def stream(size: int, digest: Any) -> Iterator[bytes]:
    """Yield so many bytes that compress to nothing and need no file."""
    block = hashlib.shake_128(b"growth").digest(MIB)
    for number in range(size // MIB):
        piece = number.to_bytes(8, "big") + block[8:]
        digest.update(piece)
        yield piece


@contextmanager
def watched(server: Server) -> Iterator[list[float]]:
    """Note the resident memory of a server, some times a second, in MB."""
    seen = [server.memory()[0]]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            seen.append(server.memory()[0])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def upload(folder: Path, size: int) -> Upload:
    """Push one blob of a size in one stream."""
    digest = hashlib.sha256()
    with serving(folder) as (server, asker):
        for _ in range(20):
            asker.ask("GET", "/v2/")
        begin = time.monotonic()
        with watched(server) as seen:
            response, _ = asker.ask("POST", f"/v2/{NAME}/blobs/uploads/")
            location = response.headers["Location"]
            headers = {"Content-Length": str(size)}
            response, _ = asker.ask("PATCH", location, stream(size, digest), **headers)
            closing = time.monotonic()
            location = f"{response.headers['Location']}&digest=sha256:"
            asker.ask("PUT", location + digest.hexdigest())
            end = time.monotonic()
        after = server.memory()[0]
    return Upload(size, end - begin, seen[0], max(seen), after, end - closing)


def measure_uploads(big: int) -> list[Upload]:
    """Push blobs up to a size, as far as the disk has room."""
    done = []
    for size in sorted({min(big, each) for each in (64 * MIB, GIB, big)}):
        with tempfile.TemporaryDirectory() as name:
            free = shutil.disk_usage(name).free
            if free < size + SPARE:
                print(f"left out: {size} bytes, for {free} are free")
                continue
            done.append(upload(Path(name), size))
            print(done[-1])
    return done


# What is written


def page(rows: Sequence[Row], uploads: Sequence[Upload], folder: Path) -> str:
    """Return the page of results."""
    lines = [
        "# What requests cost as content grows",
        "",
        f"One run of `benchmarks/growth.py` on {time.strftime('%Y-%m-%d')}: "
        f"{machine(folder)}.",
        "One gunicorn worker, one connection, other work on the machine. The first",
        "request is that of a process that has not seen the content, over a warm disk;",
        "later ones are medians.",
        "",
        "| request | entries | first, ms | later, ms | growth: first | later |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for number, (size, first, later) in enumerate(row.points):
            last = number == len(row.points) - 1
            growth = [row.growth(column) if last else "" for column in (1, 2)]
            cells = [row.name, f"{size:,}", f"{first:.2f}", f"{later:.2f}", *growth]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| GiB uploaded | MiB/s | closing PUT, s | MB before | most | after |",
        "|---|---|---|---|---|---|",
    ]
    for each in uploads:
        cells = [
            f"{each.size / GIB:.2f}",
            f"{each.size / MIB / each.seconds:.0f}",
            f"{each.closing:.2f}",
            *(f"{memory:.0f}" for memory in (each.before, each.peak, each.after)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def plot(rows: Sequence[Row], uploads: Sequence[Upload], file: Path) -> None:
    """Draw all of it."""
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 5))
    for axis, column, title in zip(
        axes, (1, 2), ("first request of a process", "later requests"), strict=False
    ):
        for row in rows:
            sizes = [point[0] for point in row.points]
            axis.loglog(sizes, [p[column] for p in row.points], "o-", label=row.name)
        axis.set(title=title, xlabel="entries", ylabel="ms", ylim=(0.1, 3000))
        axis.legend(fontsize=8)
        axis.grid(visible=True, alpha=0.3)
    sizes = [each.size / GIB for each in uploads]
    for title in ("before", "peak", "after"):
        values = [getattr(each, title) for each in uploads]
        axes[2].semilogx(sizes, values, "o-", label=title)
    axes[2].set(title="one upload", xlabel="GiB", ylabel="resident, MB", ylim=(0, None))
    axes[2].legend(fontsize=8)
    axes[2].grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, dpi=80)


def main() -> None:
    """Measure, and write the page and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--big", type=float, default=20, help="GiB of the upload")
    parser.add_argument("--smoke", action="store_true", help="a little, no results")
    arguments = parser.parse_args()
    many, fewer, big, seconds = (100_000, 10_000, int(arguments.big * GIB), 2.0)
    if arguments.smoke:
        many, fewer, big, seconds = (100, 100, 8 * MIB, 0.1)
    sizes = sorted({min(many, size) for size in (10, 1000, many)})
    rows = [
        *measure(tag_requests, sizes, "tags", seconds),
        *measure(catalog_requests, sizes, "repositories", seconds),
        *measure(
            referrer_requests,
            sorted({min(fewer, size) for size in (10, 1000, fewer)}),
            "referrers",
            seconds,
        ),
    ]
    uploads = measure_uploads(big)
    with tempfile.TemporaryDirectory() as name:
        text = page(rows, uploads, Path(name))
    if arguments.smoke:
        print(text)
        return
    (HERE / "GROWTH.md").write_text(text)
    plot(rows, uploads, HERE / "growth.png")


if __name__ == "__main__":
    main()
