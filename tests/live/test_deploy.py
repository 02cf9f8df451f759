"""What ``deploy/`` holds, each as far as it can be run on one machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from .api import Api
from .images import MIB
from .images import Layout
from .images import digest_of
from .nginx import Nginx
from .servers import PROJECT
from .servers import Launcher
from .servers import Server
from .servers import free_port
from .tools import need
from .tools import run
from .tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

DEPLOY = PROJECT / "deploy"
TRUSTED = {"http": {"secret": None, "trustedproxies": ["127.0.0.1"]}}


@pytest.fixture
def nodes(launcher: Launcher) -> list[Server]:
    """Two nodes on one storage, which believe what comes from this machine."""
    first = launcher.flaskreg(TRUSTED, workers=1)
    return [first, launcher.flaskreg(TRUSTED, workers=1, root=first.root)]


def push_and_pull(url: str, layout: Layout, session: requests.Session) -> None:
    """Push an image and a large blob in one stream, and read both back."""
    api = Api(url, "deploy/image")
    api.session = session
    assert api.start().startswith(f"{url}/v2/"), (
        "the nodes do not know the client's URL"
    )
    api.push(layout, "latest")
    api.check_holds(layout, "latest")
    data = os.urandom(MIB)
    location = api.append(api.start(), iter([data] * 20))  # type: ignore[arg-type]
    whole = data * 20
    assert api.commit(location, digest_of(whole)).status_code == 201
    back = api.pull_blob(digest_of(whole)) == whole
    assert back


def test_nginx(
    nginx: Nginx, nodes: list[Server], image: Layout, tmp_path: Path
) -> None:
    """The snippet in a plain nginx, with a certificate made for it."""
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in {
        "registry1:5000": nodes[0].host,
        "registry2:5000": nodes[1].host,
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server_name registry.example.com": "server_name localhost",
        "/etc/nginx/tls": str(tmp_path),
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "registry.conf").write_text(text)
    run(
        [
            need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
            "-keyout", f"{tmp_path}/registry.key", "-out", f"{tmp_path}/registry.crt",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        ]
    )  # fmt: skip
    file = tmp_path / "nginx.conf"
    paths = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file.write_text(
        f"user root; daemon off; pid {tmp_path}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; {paths}\n include {tmp_path}/registry.conf; }}\n"
    )
    nginx.run(file, port)
    session = requests.Session()
    # Not the authorities that the environment names.
    session.trust_env = False
    session.verify = str(tmp_path / "registry.crt")
    push_and_pull(f"https://localhost:{port}", image, session)


@pytest.fixture
def caddy(nodes: list[Server], tmp_path: Path) -> Iterator[str]:
    """Caddy with the Caddyfile as it stands; its URL."""
    url = f"http://127.0.0.1:{free_port()}"
    environment = os.environ | {
        "REGISTRY_SITE": url,
        "REGISTRY_NODES": " ".join(node.host for node in nodes),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    log = tmp_path / "caddy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [need("caddy"), "run", "--config", str(DEPLOY / "Caddyfile")],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return requests.get(f"{url}/v2/", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    try:
        wait_until(answers, 20, "Caddy to answer")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def test_caddy(caddy: str, image: Layout) -> None:
    """The Caddyfile before two nodes."""
    push_and_pull(caddy, image, requests.Session())


@pytest.mark.parametrize("file", ["config.yml", "kubernetes/config.yml"])
def test_configuration(file: str) -> None:
    """It is right, and it is the same one everywhere."""
    program = str(Path(sys.executable).parent / "flaskreg")
    done = run([program, "config", "check", str(DEPLOY / file)])
    assert done.stdout.startswith("ok")
    assert (DEPLOY / file).read_text() == (DEPLOY / "config.yml").read_text()


def test_systemd_unit(tmp_path: Path) -> None:
    """systemd takes every line of it, and the command of its ExecStart is ours."""
    text = (DEPLOY / "flaskreg.service").read_text()
    command = "/opt/flaskreg/bin/flaskreg"
    assert f"ExecStart={command} serve /etc/flaskreg/config.yml" in text
    unit = tmp_path / "flaskreg.service"
    ours = str(Path(sys.executable).parent / "flaskreg")
    unit.write_text(text.replace(command, ours))
    done = run([need("systemd-analyze"), "verify", str(unit)])
    assert "flaskreg.service" not in done.stdout + done.stderr


def test_kubernetes() -> None:
    """kubectl puts the manifests together, and each name in them is defined."""
    done = run([need("kubectl"), "kustomize", str(DEPLOY / "kubernetes")])
    documents = list(yaml.safe_load_all(done.stdout))
    by_kind: dict[str, Any] = {each["kind"]: each for each in documents}
    names = {(each["kind"], each["metadata"]["name"]) for each in documents}
    pod = by_kind["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert ("Secret", container["envFrom"][0]["secretRef"]["name"]) in names
    assert ("ConfigMap", pod["spec"]["volumes"][0]["configMap"]["name"]) in names
    assert ("ServiceAccount", pod["spec"]["serviceAccountName"]) in names
    assert by_kind["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    (rule,) = by_kind["Ingress"]["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]["name"]
    assert ("Service", backend) in names


def test_compose_and_traefik() -> None:
    """They are what their programs read, and name nodes that are there."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    traefik = yaml.safe_load((DEPLOY / "traefik.yml").read_text())
    balancer = traefik["http"]["services"]["registry"]["loadBalancer"]
    urls = {server["url"] for server in balancer["servers"]}
    nodes = {name for name in compose["services"] if name.startswith("registry")}
    assert urls == {f"http://{name}:5000" for name in nodes}
    node = compose["services"]["registry1"]
    assert (DEPLOY / node["build"]["context"] / node["build"]["dockerfile"]).exists()
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source == "./tls" or (DEPLOY / source).exists()
