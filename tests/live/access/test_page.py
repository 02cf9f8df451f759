"""``docs/access.md``: its five minutes, typed as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from ..images import Layout
from ..servers import PROJECT
from ..servers import free_port
from ..tools import need
from ..tools import wait_until


pytestmark = pytest.mark.live

PASSWORD = "correct horse"

_BLOCK = re.compile(r"^```\w+ five/(?P<name>\S+)\n(?P<code>.*?)^```$", re.M | re.S)


class Minutes:
    """The files of the page in a folder, and a shell there.

    :param image: stands for what people have on their disk or on the internet.
    """

    def __init__(self, folder: Path, image: Layout) -> None:
        self.folder = folder
        self.port = free_port()
        page = (PROJECT / "docs" / "access.md").read_text()
        changes = {
            "127.0.0.1:5000": f"127.0.0.1:{self.port}",
            "docker://docker.io/library/alpine": image.source,
        }
        for match in _BLOCK.finditer(page):
            code = match["code"]
            for old, new in changes.items():
                code = code.replace(old, new)
            (folder / match["name"]).write_text(code)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
        programs = Path(sys.executable).parent
        self.environment = kept | {
            "PATH": f"{programs}:{Path(need('skopeo')).parent}:{kept['PATH']}",
            # Where skopeo keeps what it logged in with; its other variable for that
            # begins with REGISTRY_, and would be one of ours.
            "XDG_RUNTIME_DIR": str(folder),
        }

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start the command of a block; it can be ended by its process's id."""
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                ["bash", "-c", f"exec {(self.folder / name).read_text()}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def type(self, name: str, typed: str = "") -> str:
        """Run the commands of a block, each with the same typed in; return output."""
        told = ""
        for line in (self.folder / name).read_text().splitlines():
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self.environment,
                input=typed,
                capture_output=True,
                text=True,
                timeout=180,
                start_new_session=True,
                check=False,
            )
            told += done.stdout
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return told


def test_five_minutes(tmp_path: Path, image: Layout) -> None:
    """Users and keys are made, the policy is explained, clients push and pull."""
    minutes = Minutes(tmp_path, image)
    minutes.type("users.sh", f"{PASSWORD}\n{PASSWORD}\n")
    assert (tmp_path / "build.key").read_text().startswith("frk_")
    explained = minutes.type("explain.sh").splitlines()
    assert [line.partition(":")[0] for line in explained] == [
        "allowed",
        "allowed",
        "denied",
        "denied",
    ]
    assert "(releases stay as they are)" in explained[3]
    server = minutes.start("serve.sh")
    log = tmp_path / "serve.sh.log"

    def answers() -> bool:
        assert server.poll() is None, log.read_text()
        try:
            url = f"http://127.0.0.1:{minutes.port}/v2/"
            return requests.get(url, timeout=2).status_code == 401
        except requests.RequestException:
            return False

    try:
        wait_until(answers, 60, "the registry answers")
        minutes.type("clients.sh")
    finally:
        server.terminate()
        server.wait(60)
    assert PASSWORD not in log.read_text()


def test_the_plugins_of_the_page_are_there() -> None:
    """Those that it says to install are in the project."""
    page = (PROJECT / "docs" / "access.md").read_text()
    (command,) = re.findall(r"^pip install (\./.*)$", page, re.M)
    for folder in command.split():
        assert (PROJECT / folder / "setup.cfg").is_file()
