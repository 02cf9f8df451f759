"""A registry as a process of its own, for the tests of plugins over HTTP.

It is configured as a user configures it, by a ``config.yml``, and served as a user
serves it, by gunicorn::

    with serve({"storage": {"example": {"file": "..."}}}, tmp_path) as registry:
        digest = registry.push_blob("team/app", b"content")
        assert registry.pull_blob("team/app", digest) == b"content"
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from flaskreg.digest import Digest
from flaskreg.mediatypes import OCI_MANIFEST


_SERVE = "from flaskreg.cli import main; main()"


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Response:
    """One answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)


def fetch(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Response:
    """Send one request over plain HTTP, follow nothing, and try nothing again."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path
        connection.request(method, target or "/", body, dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, found, answer.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class LiveRegistry:
    """A registry that runs."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request to a path of the API, or to a URL that it told."""
        url = path if "://" in path else f"{self.url}{path}"
        return fetch(method, url, body, headers)

    def push_blob(self, name: str, content: bytes) -> Digest:
        """Push a blob as docker does, by POST, PATCH and PUT."""
        digest = Digest.of(content)
        started = self._expect(202, "POST", f"/v2/{name}/blobs/uploads/")
        stream = {"Content-Type": "application/octet-stream"}
        where = started.headers["location"]
        where = self._expect(202, "PATCH", where, content, stream).headers["location"]
        mark = "&" if "?" in where else "?"
        self._expect(201, "PUT", f"{where}{mark}digest={digest}")
        return digest

    def pull_blob(self, name: str, digest: Digest) -> bytes:
        """Pull a blob from the registry itself."""
        return self._expect(200, "GET", f"/v2/{name}/blobs/{digest}").body

    def push_image(self, name: str, tag: str, *layers: bytes) -> Digest:
        """Push an image of some layers; return the digest of its manifest."""
        listed = []
        for content in (b"{}", *layers):
            digest = self.push_blob(name, content)
            listed.append({"digest": digest, "size": len(content)})
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **listed[0]}
        tar = "application/vnd.oci.image.layer.v1.tar"
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config,
            "layers": [{"mediaType": tar, **each} for each in listed[1:]],
        }
        content = json.dumps(manifest).encode()
        headers = {"Content-Type": OCI_MANIFEST}
        path = f"/v2/{name}/manifests/{tag}"
        self._expect(201, "PUT", path, content, headers)
        return Digest.of(content)

    def _expect(self, status: int, method: str, path: str, *rest: Any) -> Response:
        answer = self.call(method, path, *rest)
        assert answer.status == status, f"{method} {path}: {answer}\n{self.told()}"
        return answer

    def told(self) -> str:
        """Return what the registry has logged so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def serve(
    config: Mapping[str, Any],
    folder: Path,
    *,
    command: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> Iterator[LiveRegistry]:
    """Run a registry as long as the block runs.

    :param config: of the registry; ``version`` and ``http.addr`` are added.
    :param folder: where its files go.
    :param command: another registry's command line; the file's name is added to it.
    :param env: further variables of its environment.
    :param seconds: how long it may take to answer.
    """
    port = free_port()
    http_section = {"addr": f"127.0.0.1:{port}", **config.get("http", {})}
    if command is None:
        # gunicorn loses a worker that it forks while it is told to end.
        http_section.setdefault("workers", 1)
    file, log = folder / f"config-{port}.yml", folder / f"registry-{port}.log"
    whole = {"version": "0.1", **config, "http": http_section}
    file.write_text(yaml.safe_dump(whole))
    started = command or [sys.executable, "-c", _SERVE, "serve"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*started, str(file)],
            env=kept | {"OTEL_TRACES_EXPORTER": "none"} | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
            start_new_session=True,
        )
    registry = LiveRegistry(f"http://127.0.0.1:{port}", log, process)
    try:
        _wait(registry, seconds)
        yield registry
    finally:
        _end(process)
    assert "Traceback (most recent call last)" not in registry.told(), registry.told()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server as an operator does, or all of its processes when that fails."""
    process.terminate()
    try:
        process.wait(60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def _wait(registry: LiveRegistry, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert registry.process.poll() is None, registry.told()
        try:
            registry.call("GET", "/v2/")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no answer in {seconds:g} s\n{registry.told()}")
