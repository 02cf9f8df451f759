"""``flaskreg fsck``: a line for each finding, and a status for scripts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import Client
from builders import push_image
from click.testing import CliRunner
from click.testing import Result

from flaskreg import create_app
from flaskreg.cli.main import group
from flaskreg.config import load_settings
from flaskreg.digest import Digest


LAYER = Digest.of(b"a layer")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Path]:
    """Return the root of a storage with an image."""
    config = tmp_path / "config.yml"
    root = tmp_path / "registry"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {root}}}\n"
    )
    push_image(
        Client(create_app(load_settings(config))), "r", "v1", layers=[b"a layer"]
    )
    return root / "docker/registry/v2"


def run(registry: Path, *flags: str) -> Result:
    """Run the command."""
    config = registry.parents[3] / "config.yml"
    command = ["fsck", *flags, str(config)]
    return CliRunner().invoke(group, command, catch_exceptions=False)


def test_a_sound_storage(registry: Path) -> None:
    """One line and status 0."""
    for flags in ((), ("--deep",), ("--deep", "--repair", "--rate", "0")):
        result = run(registry, *flags)
        line = "1 repositories: 0 damaged, 0 garbage, 0 healed\n"
        assert (result.exit_code, result.stdout) == (0, line)


def test_damage_that_can_be_healed(registry: Path) -> None:
    """Status 1 until it is healed."""
    link = registry / "repositories/r/_layers/sha256" / LAYER.encoded / "link"
    link.write_bytes(b"")
    found = run(registry)
    path = str(link).removeprefix(str(registry.parents[2]))
    assert found.exit_code == 1
    assert found.stdout.splitlines()[0] == (
        f"damaged-link: {path}: a link holds no digest, or a wrong one"
    )
    healed = run(registry, "--repair")
    assert healed.exit_code == 0
    assert healed.stdout.splitlines()[0].endswith(" (healed)")
    assert link.read_text() == LAYER
    assert run(registry).exit_code == 0


def test_damage_that_cannot(registry: Path) -> None:
    """Status 1, and what is wrong can be pushed again."""
    data = registry / f"blobs/sha256/{LAYER.encoded[:2]}/{LAYER.encoded}/data"
    data.write_bytes(b"another")
    assert run(registry).exit_code == 0
    assert run(registry, "--deep").exit_code == 1
    assert run(registry, "--deep", "--repair").exit_code == 1
    assert not data.exists()


def test_damage_that_another_place_has_not(registry: Path, tmp_path: Path) -> None:
    """A copy of the storage, an OCI layout or another registry brings it back."""
    copy = tmp_path / "copy"
    shutil.copytree(registry.parents[2], copy)
    data = registry / f"blobs/sha256/{LAYER.encoded[:2]}/{LAYER.encoded}/data"
    data.write_bytes(b"another")
    tag = registry / "repositories/r/_manifests/tags/v1/current/link"
    manifest = Digest(tag.read_text())
    encoded = manifest.encoded
    (registry / f"blobs/sha256/{encoded[:2]}/{encoded}/data").unlink()
    result = run(registry, "--deep", "--repair", "--from", str(copy))
    assert result.exit_code == 0, result.output
    assert result.stdout.count("(healed)") == 2
    assert data.read_bytes() == b"a layer"
    assert run(registry, "--deep").exit_code == 0
    assert run(registry, "--from", str(tmp_path / "none")).exit_code == 1


def test_garbage_is_no_damage(registry: Path) -> None:
    """Status 0."""
    (registry / "stray").mkdir()
    result = run(registry)
    assert result.exit_code == 0
    assert "foreign: /docker/registry/v2/stray" in result.stdout
    assert "0 damaged, 1 garbage" in result.stdout
