"""A plugin that is installed by pip, named in the configuration, and used over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from .images import Layout
from .servers import PROJECT
from .servers import Launcher
from .servers import free_port
from .tools import run


pytestmark = pytest.mark.live

EXAMPLE = PROJECT / "plugins" / "flaskreg-example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """An environment in which pip has put the example plugin beside flaskreg."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        + ["--target", str(folder), str(EXAMPLE)],
        check=True,
        capture_output=True,
    )
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path}


def test_push_and_pull_through_an_installed_plugin(
    launcher: Launcher,
    installed: Mapping[str, str],
    image: Layout,
    tmp_path: Path,
) -> None:
    """An image comes back with its digest, and lies in the plugin's own file."""
    port = free_port()
    file = tmp_path / "example.yml"
    file.write_text(
        f"version: 0.1\nstorage: {{example: {{file: {tmp_path}/registry.sqlite}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    env = {**installed, "REGISTRY_CONFIGURATION_PATH": str(file)}
    server = launcher.flaskreg(env=env, workers=2, port=port)
    target = f"docker://{server.host}/plugin/image:one"
    back = tmp_path / "back"
    run(["skopeo", "copy", "--dest-tls-verify=false", image.source, target])
    run(["skopeo", "copy", "--src-tls-verify=false", target, f"oci:{back}:latest"])
    assert image.digest in (back / "index.json").read_text()
    assert (tmp_path / "registry.sqlite").stat().st_size > 0
    assert list(server.root.rglob("data")) == []


def test_plugins_lists_what_is_installed_and_used(
    installed: Mapping[str, str], tmp_path: Path
) -> None:
    """``flaskreg plugins`` names the plugin, where it is from, and that it is used."""
    file = tmp_path / "config.yml"
    file.write_text(f"version: 0.1\nstorage: {{example: {{file: {tmp_path}/r}}}}\n")
    command = "from flaskreg.cli import main; main()"
    listed = subprocess.run(
        [sys.executable, "-c", command, "plugins", str(file)],
        env=os.environ | dict(installed) | {"COLUMNS": "200"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    line = next(line for line in listed.splitlines() if "driver example" in line)
    assert "flaskreg-example" in line
    assert "(used)" in line


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("storage: {exampled: {file: r}}", "flaskreg-exampled"),
        (
            "storage: {inmemory: , cache: {blobdescriptor: memcached}}",
            "flaskreg-memcached",
        ),
        (
            "storage: inmemory\nmiddleware: {storage: [{name: encrypted}]}",
            "flaskreg-encrypted",
        ),
        ("storage: inmemory\nauth: {kerberos: {realm: r}}", "flaskreg-kerberos"),
    ],
)
def test_a_plugin_that_is_missing_is_named(
    tmp_path: Path, text: str, distribution: str
) -> None:
    """Without it the start ends with one line that says what to install."""
    file = tmp_path / "config.yml"
    file.write_text(f"version: 0.1\n{text}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "wsgi:app"],
        cwd=PROJECT,
        env=os.environ | {"REGISTRY_CONFIGURATION_PATH": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    lines = [line for line in ended.stderr.splitlines() if "pip install" in line]
    assert len(lines) == 1
    assert f"`pip install {distribution}`" in lines[0]
    assert "Traceback" not in ended.stderr
