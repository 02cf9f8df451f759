"""``flaskreg garbage-collect``: distribution's flags and lines, and what it frees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import Client
from builders import push_blob
from builders import push_image
from click.testing import CliRunner
from click.testing import Result

from flaskreg import create_app
from flaskreg.cli.main import group
from flaskreg.cli.storage import format_size
from flaskreg.cli.storage import is_gone
from flaskreg.cli.storage import make_run_name
from flaskreg.config import load_settings
from flaskreg.digest import Digest


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """Return a configuration whose storage holds an image and garbage."""
    path = tmp_path / "config.yml"
    path.write_text(
        "version: 0.1\nstorage:\n  filesystem:\n"
        f"    rootdirectory: {tmp_path}/registry\n  delete: {{enabled: true}}\n"
    )
    client = Client(create_app(load_settings(path)))
    push_image(client, "team/app", "v1", layers=[b"kept"])
    push_image(client, "team/app", layers=[b"untagged"])
    push_blob(client, "team/app", b"x" * 2048)
    return path


def run(*arguments: object, config: Path) -> Result:
    """Run the command on a configuration."""
    command = ["garbage-collect", *map(str, arguments), str(config)]
    return CliRunner().invoke(group, command, catch_exceptions=False)


GARBAGE = Digest.of(b"x" * 2048)


def test_its_lines_are_those_of_distribution(config: Path) -> None:
    """Scripts read them."""
    result = run("--grace", "0s", config=config)
    lines = result.stdout.splitlines()
    assert lines[0] == "team/app"
    assert f"team/app: marking blob {Digest.of(b'kept')}" in lines
    assert "5 blobs marked, 1 blobs and 0 manifests eligible for deletion" in lines
    assert f"blob eligible for deletion: {GARBAGE}" in lines
    assert f"team/app: layer link eligible for deletion: {GARBAGE}" in lines
    assert lines[-1] == (
        "freed 2.0 KiB: 1 blobs, 0 manifests, 1 layer links, 0 uploads"
    )
    assert result.exit_code == 0


def test_a_dry_run_says_what_it_would_free(config: Path) -> None:
    """And with -m what goes beside that."""
    for flags in (("-d", "-m"), ("--dry-run", "--delete-untagged")):
        result = run(*flags, "--grace", "0s", config=config)
        assert "manifest eligible for deletion: {team/app sha256:" in result.stdout
        assert result.stdout.splitlines()[-1] == (
            "would free 2.4 KiB: 3 blobs, 1 manifests, 2 layer links, 0 uploads"
        )


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet(config: Path, flag: str) -> None:
    """Nothing is printed, and the work is done."""
    result = run(flag, "--grace", "0s", config=config)
    assert (result.exit_code, result.output) == (0, "")
    assert "freed 0 bytes" in run("--grace", "0s", config=config).stdout


def test_the_grace_is_an_hour_by_default(config: Path) -> None:
    """So that it can run beside pushes as it is."""
    assert "freed 0 bytes: 0 blobs" in run("-m", config=config).stdout


@pytest.mark.parametrize("grace", ["1", "-1s", "soon"])
def test_a_wrong_grace(config: Path, grace: str) -> None:
    """It is one line and an exit status."""
    result = run("--grace", grace, config=config)
    assert result.exit_code == 2
    assert grace in result.stderr


def test_damage_is_told(config: Path, tmp_path: Path) -> None:
    """It is counted in the summary, and each is logged."""
    links = (tmp_path / "registry").rglob("_layers/*/*/link")
    next(links).write_bytes(b"")
    result = run("--grace", "0s", config=config)
    assert result.exit_code == 0
    assert "skipped damage: 1 layer link; see `flaskreg fsck`" in result.stdout


def test_sizes() -> None:
    """Bytes are printed as people read them."""
    sizes = [0, 1023, 1024, 1536, 5 << 30, 1 << 60]
    assert [format_size(size) for size in sizes] == [
        "0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 GiB", "1024.0 PiB"
    ]  # fmt: skip


def test_which_run_is_gone() -> None:
    """Only one of this machine whose process has ended for certain."""
    assert not is_gone(make_run_name())
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "from flaskreg.cli.storage import make_run_name; print(make_run_name())",
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    ).stdout.strip()
    assert is_gone(ended)
    machine, _, rest = ended.partition(".")
    assert not is_gone(f"{machine}x.{rest}")
    assert not is_gone("nonsense")
