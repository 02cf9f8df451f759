"""A real Debian: layers by mmdebstrap, an index over two architectures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .api import Api
from .clients import Podman
from .clients import layout_digest
from .clients import remote
from .clients import skopeo
from .clients import skopeo_copy
from .clients import skopeo_digest
from .images import MIB
from .images import Layout
from .images import digest_of
from .servers import Server
from .tools import need
from .tools import run


pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

#: the machine that an ELF file is for, by architecture.
MACHINES = {"amd64": 0x3E, "arm64": 0xB7}


def machine(program: Path) -> int:
    """Return the machine that an ELF file says it is for."""
    return int.from_bytes(program.read_bytes()[18:20], "little")


def test_round_trip(flaskreg: Server, debian: Layout, tmp_path: Path) -> None:
    """Index, both images and every layer come back as they went."""
    reference = remote(flaskreg, f"library/debian:{debian.tag}")
    skopeo_copy(debian.source, reference, "--all")
    assert sum(debian.blob(blob).stat().st_size for blob in debian.blobs()) > 50 * MIB
    raw = skopeo("inspect", "--raw", "--tls-verify=false", reference)
    assert digest_of(raw.encode()) == debian.digest

    skopeo_copy(reference, f"oci:{tmp_path}/back:{debian.tag}", "--all")
    back = Layout(tmp_path / "back", debian.tag, debian.digest)
    assert layout_digest(back.path, debian.tag) == debian.digest
    for digest in [*(d for d, _ in debian.manifests()), *debian.blobs()]:
        assert digest_of(back.blob(digest).read_bytes()) == digest
    Api(flaskreg.url, "library/debian").check_holds(debian, debian.tag)


def test_each_architecture(flaskreg: Server, debian: Layout, tmp_path: Path) -> None:
    """One architecture pulled by its own digest unpacks to a root file system."""
    reference = remote(flaskreg, f"library/debian:{debian.tag}")
    skopeo_copy(debian.source, reference, "--all")
    for entry in debian.document(debian.digest)["manifests"]:
        arch = entry["platform"]["architecture"]
        source = remote(flaskreg, f"library/debian@{entry['digest']}")
        assert skopeo_digest(source) == entry["digest"]
        skopeo_copy(source, f"oci:{tmp_path}/{arch}:one")
        bundle = tmp_path / f"{arch}.bundle"
        run([need("umoci"), "unpack", "--image", f"{tmp_path}/{arch}:one", str(bundle)])
        release = (bundle / "rootfs/usr/lib/os-release").read_text()
        assert "VERSION_CODENAME=bookworm" in release
        assert machine(bundle / "rootfs/bin/bash") == MACHINES[arch]


def test_podman_mounts_it(flaskreg: Server, debian: Layout, podman: Podman) -> None:
    """The pulled image is a Debian that podman can mount and read."""
    Api(flaskreg.url, "podman/debian").push(debian, debian.tag)
    reference = f"{flaskreg.host}/podman/debian:{debian.tag}"
    podman("pull", "--quiet", "--tls-verify=false", reference, timeout=300)
    (shown,) = json.loads(podman("image", "inspect", reference))
    assert shown["Labels"]["title"].startswith("debian bookworm")
    root = Path(podman("image", "mount", reference))
    assert (root / "bin/bash").stat().st_size > MIB
    podman("image", "umount", reference)
