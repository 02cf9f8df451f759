"""Programs that the live tests call: found or built once, run with a time limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path

import pytest


PACKAGES = {
    "buildah": "buildah",
    "caddy": "caddy",
    "cc": "gcc libc6-dev",
    "docker": "docker.io",
    "dockerd": "docker.io",
    "containerd": "containerd",
    "ctr": "containerd",
    "curl": "curl",
    "docker-registry": "docker-registry",
    "go": "golang-go (1.24 or later)",
    "kubectl": "kubectl or kubernetes-client",
    "mmdebstrap": "mmdebstrap",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "node": "nodejs (18 or later)",
    "npm": "npm",
    "podman": "podman",
    "promtool": "prometheus",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "skopeo": "skopeo",
    "systemd-analyze": "systemd",
    "umoci": "umoci",
}
MODULE = "github.com/distribution/distribution/v3@v3.1.1"
DISTRIBUTION = MODULE.replace("@", "/cmd/registry@")


def need(name: str) -> str:
    """Return the path of a program; a missing one fails, with what to install."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=places)
    if found is None:
        pytest.fail(
            f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}",
            pytrace=False,
        )
    return found


def run(
    command: list[str],
    *,
    timeout: float = 180,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; a failing one fails the test with its output."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=None if env is None else {**os.environ, **env},
        check=False,
    )
    if check and done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        pytest.fail(
            f"exit {done.returncode}: {' '.join(command)}\n{output}", pytrace=False
        )
    return done


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until ``true()``; running out of time fails, naming what was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return
        time.sleep(0.02)
    pytest.fail(f"not within {seconds:g} s: {what}")


def cache_directory() -> Path:
    """Return the folder that keeps what is built once for every later run."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "flaskreg-live"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def distribution_v3() -> str:
    """Return a distribution v3 binary: named, cached, or built from its Go module.

    ``FLASKREG_DISTRIBUTION`` names one; a ``registry`` on the PATH is not trusted to
    be this version, so it is asked.
    """
    named = os.environ.get("FLASKREG_DISTRIBUTION")
    if named:
        return named
    on_path = shutil.which("registry")
    if on_path and " v3." in run([on_path, "--version"], check=False).stdout:
        return on_path
    built = cache_directory() / "registry"
    if not built.exists():
        run(
            [need("go"), "install", DISTRIBUTION],
            timeout=900,
            env={"GOBIN": str(built.parent), "GOFLAGS": "-buildvcs=false"},
        )
    return str(built)
