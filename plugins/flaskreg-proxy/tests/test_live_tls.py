"""Upstreams with TLS: a CA of one's own, a client certificate, and neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import StartCache
from live.api import Api
from live.api import expect
from live.images import Layout
from live.servers import Launcher
from live.tools import need
from live.tools import run


pytestmark = pytest.mark.live


def make_certificate(folder: Path, name: str) -> tuple[str, str]:
    """Make a certificate for loopback that is its own CA; return it and its key."""
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    run(
        [
            *(need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-keyout", key, "-out", certificate, "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"),
        ]
    )
    return certificate, key


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, tuple[str, str]]:
    return {name: make_certificate(tmp_path, name) for name in ("server", "client")}


@pytest.mark.parametrize(
    ("wants_client", "given", "status"),
    [
        (False, (), 502),
        (False, ("ca",), 200),
        (False, ("insecure",), 200),
        (True, ("ca",), 502),
        (True, ("ca", "certificate", "key"), 200),
    ],
)
def test_tls(
    launcher: Launcher,
    start_cache: StartCache,
    image: Layout,
    certificates: dict[str, tuple[str, str]],
    wants_client: bool,
    given: tuple[str, ...],
    status: int,
) -> None:
    certificate, key = certificates["server"]
    tls: dict[str, Any] = {"certificate": certificate, "key": key}
    if wants_client:
        tls["clientcas"] = [certificates["client"][0]]
    origin = launcher.distribution("3", {"http": {"tls": tls}})
    url = f"https://{origin.host}"
    at_home = Api(url, "team/app")
    at_home.session.trust_env = False
    at_home.session.verify = certificate
    at_home.session.cert = certificates["client"] if wants_client else None
    at_home.push(image, "v1")
    known = {
        "ca": certificate,
        "insecure": True,
        "certificate": certificates["client"][0],
        "key": certificates["client"][1],
    }
    cache = start_cache(url, tls={name: known[name] for name in given})
    api = Api(cache.url, "up/team/app")
    answer = expect(api.call("GET", "manifests/v1"), status)
    if status == 200:
        api.check_holds(image, "v1")
    else:
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
