"""Measure flaskreg side by side with CNCF distribution: ``python benchmarks/run.py``.

It finds or builds distribution and the load generator, starts distribution, flaskreg
under gunicorn and flaskreg under granian on one disk, runs all rows in alternating
rounds, and writes its part of ``benchmarks/RESULTS.md``. ``--smoke`` runs a few rows
for a moment and writes nothing: it shows that all of it runs.

``--storage s3=http://KEY:SECRET@127.0.0.1:PORT/BUCKET`` keeps all content in a bucket
of an S3 server that runs already; flaskreg-s3 has to be installed. ``--title`` says
which server it is.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit


HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
DISTRIBUTION = "github.com/distribution/distribution/v3/cmd/registry@v3.1.1"
SMOKE_ROWS = "ping,manifest-get-tag,push-small"
PEER = "distribution"


@dataclass
class Server:
    """A registry that is measured."""

    name: str
    command: list[str]
    port: int
    #: seconds from its start to its first answer.
    started_in: float = 0.0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def target(self) -> str:
        """Return how the load generator names it."""
        return f"{self.name}=http://127.0.0.1:{self.port}"

    def memory(self) -> tuple[float, float]:
        """Return resident and proportional memory of all its processes, in MB."""
        resident = proportional = 0
        for pid in _family(self.process.pid if self.process else 0):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            resident += int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1])  # type: ignore[index]
            proportional += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])  # type: ignore[index]
        return resident / 1024, proportional / 1024


def _family(pid: int) -> Iterator[int]:
    """Yield a process and those that it started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def find_or_build(name: str, variable: str, build: Sequence[str], cwd: Path) -> str:
    """Return a program: named by a variable, on the PATH, or built into the cache."""
    found = os.environ.get(variable) or shutil.which(name)
    if found:
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "flaskreg"
    program = cache / name
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [each.replace("{cache}", str(cache)) for each in build]
        subprocess.run(
            command, cwd=cwd, check=True, env=os.environ | {"GOBIN": str(cache)}
        )
    return str(program)


def find_regload() -> str:
    """Return the load generator as its source stands here, built once for each."""
    source = HERE / "regload"
    name = (
        f"regload-{hashlib.sha256((source / 'main.go').read_bytes()).hexdigest()[:12]}"
    )
    build = ["go", "build", "-buildvcs=false", "-o", f"{{cache}}/{name}", "."]
    return find_or_build(name, "FLASKREG_REGLOAD", build, source)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def storage_of(storage: str, folder: Path, name: str) -> str:
    """Return the driver and its parameters as they stand in a configuration.

    :param storage: ``filesystem``, or ``s3=`` and the URL of a bucket.
    :param name: of the server, whose content is kept apart from that of the others.
    """
    if storage == "filesystem":
        return f"filesystem: {{rootdirectory: {folder / name}}}"
    url = urlsplit(storage.removeprefix("s3="))
    endpoint = f"{url.scheme}://{url.hostname}:{url.port}"
    parameters = {
        "bucket": url.path.strip("/"),
        "region": "us-east-1",
        "regionendpoint": endpoint,
        "forcepathstyle": "true",
        "accesskey": url.username,
        "secretkey": url.password,
        "rootdirectory": f"/benchmark-{folder.name}-{name}",
    }
    pairs = ", ".join(f'{key}: "{value}"' for key, value in parameters.items())
    return f"s3: {{{pairs}}}\n  redirect: {{disable: true}}"


def write_configuration(
    folder: Path, name: str, port: int, storage: str = "filesystem"
) -> Path:
    """Write the configuration that all of them are started with."""
    file = folder / f"{name}.yml"
    file.write_text(
        f"""version: 0.1
storage:
  {storage_of(storage, folder, name)}
  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
log: {{level: error, accesslog: {{disabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
    )
    return file


@contextmanager
def running(server: Server, configuration: Path) -> Iterator[Server]:
    """Start a server, and end it by its own id."""
    env = os.environ | {
        "REGISTRY_CONFIGURATION_PATH": str(configuration),
        "OTEL_TRACES_EXPORTER": "none",
    }
    begin = time.monotonic()
    server.process = subprocess.Popen(server.command, cwd=PROJECT, env=env)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v2/", timeout=5)
                break
            except urllib.error.HTTPError:
                break
            except (urllib.error.URLError, ConnectionError):
                if server.process.poll() is not None or time.monotonic() > begin + 30:
                    raise
                time.sleep(0.01)
        server.started_in = time.monotonic() - begin
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)


def make_servers(
    folder: Path, registry: str, storage: str
) -> list[tuple[Server, Path]]:
    """Return what is measured, the peer last, each with its configuration."""
    made = []
    for name in ("gunicorn", "granian", PEER):
        port = free_port()
        configuration = write_configuration(folder, name, port, storage)
        commands = {
            "gunicorn": [sys.executable, "-m", "gunicorn", "-w", "2", "wsgi:app"],
            "granian": [
                str(Path(sys.executable).parent / "granian"), "--interface", "wsgi",
                "--host", "127.0.0.1", "--port", str(port), "--workers", "2",
                "--blocking-threads", "16", "--log-level", "error", "wsgi:app",
            ],
            PEER: [registry, "serve", str(configuration)],
        }  # fmt: skip
        made.append((Server(name, commands[name], port), configuration))
    return made


def measure(servers: Sequence[Server], regload: str, options: Sequence[str]) -> str:
    """Run the load generator over all servers, and return its table."""
    command = [regload, *options, *[server.target for server in servers]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    done.check_returncode()
    return done.stdout


def file_system(path: Path) -> str:
    """Return the kind of file system that *path* is on."""
    command = ["stat", "-f", "-c", "%T", str(path)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def machine(folder: Path) -> str:
    """Return what the figures depend on, as a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} CPUs, {memory:.0f} GiB, Linux {platform.release()}, "
        f"{file_system(folder)}, CPython {platform.python_version()}, "
        f"gunicorn {version('gunicorn')}, granian {version('granian')}, "
        "distribution v3.1.1"
    )


def report(
    servers: Sequence[Server], table: str, folder: Path, heading: str, note: str
) -> str:
    """Return the part of the page of results that this run is."""
    lines = [
        f"## {heading}",
        "",
        f"One run of `benchmarks/run.py` on {time.strftime('%Y-%m-%d')}: "
        f"{machine(folder)}. All durable, delete and in-memory cache on, access logs",
        "off, two worker processes for flaskreg. Medians of alternating rounds; ratios",
        f"are to distribution in the same run. {note}".rstrip(),
        "",
        "| row | gunicorn | granian | distribution | unit | gunicorn ratio "
        "| granian ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.splitlines()[1:]:
        name, gunicorn, granian, peer, unit, *_ = row.split()
        figures = [float(each.rstrip("!")) for each in (gunicorn, granian, peer)]
        ratios = [f"{figure / figures[2]:.2f}" for figure in figures[:2]]
        cells = [name, gunicorn, granian, peer, unit, *ratios]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| server | resident, MB | proportional, MB | start to first answer, s |",
        "|---|---|---|---|",
    ]
    for server in servers:
        resident, proportional = server.memory()
        lines.append(
            f"| {server.name} | {resident:.0f} | {proportional:.0f} "
            f"| {server.started_in:.2f} |"
        )
    return "\n".join([*lines, ""])


def write_part(page: Path, part: str) -> None:
    """Put a part under its heading, in place of the part that stands there."""
    text = page.read_text() if page.exists() else "# Results\n"
    top, *parts = re.split(r"^(?=## )", text, flags=re.M)
    heading = part.partition("\n")[0]
    kept = [each for each in parts if each.partition("\n")[0] != heading]
    page.write_text("\n".join(each.rstrip() + "\n" for each in (top, *kept, part)))


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a moment, no results")
    parser.add_argument("--rounds", default="3", help="rounds of each row")
    parser.add_argument("--secs", default="3", help="seconds of each rate")
    parser.add_argument(
        "--storage", default="filesystem", help="filesystem, or s3=URL of a bucket"
    )
    parser.add_argument("--title", default="", help="of the part in the results")
    parser.add_argument("--note", default="", help="a sentence below it")
    arguments = parser.parse_args()
    install = ["go", "install", "-buildvcs=false", DISTRIBUTION]
    registry = find_or_build("registry", "FLASKREG_DISTRIBUTION", install, PROJECT)
    regload = find_regload()
    options = ["-rounds", arguments.rounds, "-secs", arguments.secs]
    if arguments.smoke:
        options = ["-rounds", "1", "-secs", "0.5", "-warm", "0.1", "-only", SMOKE_ROWS]
    title = arguments.title or arguments.storage.partition("=")[0]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        servers = [
            stack.enter_context(running(server, configuration))
            for server, configuration in make_servers(
                folder, registry, arguments.storage
            )
        ]
        table = measure(servers, regload, options)
        part = report(servers, table, folder, title, arguments.note)
    if arguments.smoke:
        print(part)
    else:
        write_part(HERE / "RESULTS.md", part)


if __name__ == "__main__":
    main()
