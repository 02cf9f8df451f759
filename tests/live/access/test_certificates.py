"""A registry that speaks TLS, and skopeo with a certificate of its own or without."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from cryptography import x509

from ..clients import SKOPEO
from ..clients import layout_digest
from ..clients import remote
from ..images import Layout
from ..servers import TRACEBACK
from ..servers import Server
from ..servers import flaskreg_command
from ..servers import free_port
from ..servers import merge
from ..servers import outer_environment
from ..servers import settings
from ..tools import need
from ..tools import run
from ..tools import wait_until
from .authority import Authority


pytestmark = pytest.mark.live

RULES = [
    {"repositories": "nodes/**", "subjects": "tls:node-1", "allow": ["pull", "push"]},
    {"repositories": "shared/**", "subjects": "group:builders", "allow": "pull"},
]


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """The authority that the registry believes."""
    return Authority(tmp_path, "ours")


@pytest.fixture(params=["cn", "dns"])
def guarded(
    request: pytest.FixtureRequest, ours: Authority, tmp_path: Path
) -> Iterator[Server]:
    """flaskreg by TLS, which asks for a certificate and does not insist."""
    port, root = free_port(), tmp_path / "root"
    root.mkdir()
    certificate, key = (str(path) for path in ours.issue_server())
    policy = {
        "keys": str(tmp_path / "keys"),
        "rules": RULES,
        "mtls": {"user": request.param, "prefix": "tls:", "groups": "ou"},
    }
    config = {
        "http": {
            "tls": {
                "certificate": certificate,
                "key": key,
                "clientcas": [str(ours.path)],
                "clientauth": "verify-client-cert-if-given",
            }
        },
        "auth": {"policy": policy},
    }
    file, log = tmp_path / "config.yml", tmp_path / "log"
    file.write_text(yaml.safe_dump(merge(settings(port, root), config)))
    with log.open("wb") as out:
        process = subprocess.Popen(
            flaskreg_command(1),
            cwd=Path(__file__).parents[3],
            env=outer_environment(file),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    server = Server("flaskreg", port, root, log, process)

    def listens() -> bool:
        assert process.poll() is None, server.text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, 30, "the registry listens")
        yield server
    finally:
        server.stop()
    assert TRACEBACK not in server.text()


def cert_dir(
    folder: Path, ours: Authority, client: tuple[Path, Path] | None = None
) -> str:
    """Return a folder as containers' ``certs.d`` has it."""
    made = folder / ("nobody.d" if client is None else f"{client[0].stem}.d")
    made.mkdir()
    shutil.copy(ours.path, made / "ca.crt")
    for path in client or ():
        shutil.copy(path, made / f"client{path.suffix}")
    return str(made)


def copy(source: str, target: str, side: str, certificates: str) -> int:
    """Copy with skopeo, by the certificates of a folder; return its exit status."""
    command = [need("skopeo"), *SKOPEO, "copy", "--quiet", f"--{side}-no-creds"]
    command += [f"--{side}-cert-dir", certificates, source, target]
    return run(command, check=False).returncode


def test_a_certificate_is_an_identity(
    guarded: Server, ours: Authority, image: Layout, tmp_path: Path
) -> None:
    """By its name it pushes, by its unit it pulls; and nobody else does."""
    node = ours.issue("node-1", x509.DNSName("node-1"), unit="builders")
    other = ours.issue("node-2", x509.DNSName("node-2"))
    foreign = Authority(tmp_path, "foreign").issue("node-1", x509.DNSName("node-1"))
    target = remote(guarded, "nodes/app:one")
    good = cert_dir(tmp_path, ours, node)
    refused = [
        cert_dir(tmp_path, ours),
        cert_dir(tmp_path, ours, other),
        cert_dir(tmp_path, ours, foreign),
    ]
    assert copy(image.source, target, "dest", good) == 0
    for each in refused:
        assert copy(image.source, target, "dest", each) != 0
    back = f"oci:{tmp_path}/back:one"
    for each in refused:
        assert copy(target, back, "src", each) != 0
    assert copy(target, back, "src", good) == 0
    assert layout_digest(tmp_path / "back", "one") == image.digest
    assert copy(image.source, remote(guarded, "shared/a:one"), "dest", good) != 0

    def status(client: tuple[Path, Path] | None) -> int:
        url = f"https://{guarded.host}/v2/shared/a/tags/list"
        cert = tuple(map(str, client)) if client else None
        answer = requests.get(url, verify=str(ours.path), cert=cert, timeout=60)
        return answer.status_code

    assert [status(node), status(other), status(None)] == [404, 403, 401]
