"""``docs/operations.md``: its commands run in their order and print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from builders import Client
from builders import push_blob
from builders import push_image

from flaskreg import create_app
from flaskreg.cli.main import group
from flaskreg.config import load_settings
from flaskreg.upkeep.findings import DAMAGE
from flaskreg.upkeep.findings import GARBAGE


PAGE = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()

_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
_STEP = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.M)

STEPS = [
    (step["command"], step["output"])
    for block in _CONSOLE.findall(PAGE)
    for step in _STEP.finditer(block)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the registry of the page: two repositories, and garbage."""
    config = tmp_path / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        "storage: {filesystem: {rootdirectory: registry}}\n"
    )
    settings = config.read_text().replace("registry}", f"{tmp_path}/registry}}")
    absolute = tmp_path / "absolute.yml"
    absolute.write_text(settings)
    client = Client(create_app(load_settings(absolute)))
    push_image(client, "team/app", "v1", layers=[b"a layer"])
    push_image(client, "team/app", layers=[b"untagged"])
    push_image(client, "other", "v1", layers=[b"another"])
    push_blob(client, "other", b"nobody refers to this")
    return tmp_path


def fits(shown: str, printed: str) -> bool:
    """Whether what was printed is what is shown, where ``...`` is anything."""
    pattern = ".*".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, printed) is not None


@pytest.mark.timeout(300)
def test_every_command(folder: Path) -> None:
    """One after the other, as somebody reads the page."""
    environment = {
        name: value for name, value in os.environ.items() if "REGISTRY_" not in name
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    assert len(STEPS) > 15
    for command, shown in STEPS:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert fits(shown, done.stdout), f"{command}\n{done.stdout}"


def test_no_command_is_run_by_nobody() -> None:
    """Each stands in a block that this test runs, or its sister for live servers."""
    blocks = re.findall(r"^```(.*)$", PAGE, re.M)
    assert set(blocks) == {"", "console", "console server", "yaml"}
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S)
    named = {each.split()[1] for each in re.findall(r"`(flaskreg [^`]+)`", prose)}
    assert named <= set(re.findall(r"^\$ flaskreg (\S+)", PAGE, re.M))


def test_every_setting_is_one(tmp_path: Path) -> None:
    """A piece of a configuration is right as it stands."""
    file = tmp_path / "config.yml"
    pieces = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    assert pieces
    for piece in pieces:
        file.write_text(f"version: 0.1\nstorage: inmemory\n{piece}")
        assert load_settings(file, {}).warnings == ()


def test_every_command_of_upkeep_is_on_the_page() -> None:
    """Who looks for one finds it."""
    words = ("garbage-collect", "readonly", "fsck", "import", "export")
    assert set(words) <= group.commands.keys()
    for word in words:
        assert any(f"flaskreg {word} " in command for command, _ in STEPS)


def test_every_kind_of_damage_is_on_the_page() -> None:
    """With what a repair does about it."""
    rows = re.findall(r"^\| `([a-z-]+)` \| \w+", PAGE, re.M)
    assert rows == [*DAMAGE, *GARBAGE]


def test_its_links_lead_somewhere() -> None:
    """To a heading of the page."""
    headings = re.findall(r"^## (.*)$", PAGE, re.M)
    known = {
        re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings
    }
    assert set(re.findall(r"\(#([^)]+)\)", PAGE)) <= known
