"""skopeo against a real server: every digest must come back as it went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .api import Api
from .clients import layout_digest
from .clients import remote
from .clients import skopeo
from .clients import skopeo_copy
from .clients import skopeo_digest
from .clients import skopeo_raw
from .clients import skopeo_tags
from .images import DOCKER
from .images import Layout
from .images import digest_of
from .images import make_layout
from .servers import Server
from .tools import need
from .tools import run


pytestmark = pytest.mark.live


def test_copy_to_and_from(flaskreg: Server, image: Layout, tmp_path: Path) -> None:
    """An image copied in and out again has the digest and files that it had."""
    reference = remote(flaskreg, "skopeo/plain:one")
    skopeo_copy(image.source, reference)
    assert skopeo_digest(reference) == image.digest

    skopeo_copy(reference, f"oci:{tmp_path}/back:one")
    assert layout_digest(tmp_path / "back", "one") == image.digest
    for digest in (image.digest, *image.blobs()):
        back = Layout(tmp_path / "back", "one", image.digest).blob(digest)
        assert back.read_bytes() == image.blob(digest).read_bytes()


def test_copy_by_digest(flaskreg: Server, image: Layout, tmp_path: Path) -> None:
    """What was pushed under a tag can be pulled under its digest."""
    skopeo_copy(image.source, remote(flaskreg, "skopeo/bydigest:one"))
    reference = remote(flaskreg, f"skopeo/bydigest@{image.digest}")
    skopeo_copy(reference, f"oci:{tmp_path}/back:one")
    assert layout_digest(tmp_path / "back", "one") == image.digest


def test_copy_of_sixty_layers(
    flaskreg: Server, many_layers: Layout, tmp_path: Path
) -> None:
    """Many layers, pushed and pulled some at a time, all arrive."""
    reference = remote(flaskreg, "skopeo/sixty:latest")
    skopeo_copy(many_layers.source, reference)
    skopeo_copy(reference, f"oci:{tmp_path}/back:latest")
    assert layout_digest(tmp_path / "back", "latest") == many_layers.digest


def test_copy_all_architectures(
    flaskreg: Server, multi_arch: Layout, tmp_path: Path
) -> None:
    """``--all`` moves the index and each image under it, byte for byte."""
    reference = remote(flaskreg, "skopeo/multi:latest")
    skopeo_copy(multi_arch.source, reference, "--all")
    assert digest_of(skopeo_raw(reference).encode()) == multi_arch.digest

    skopeo_copy(reference, f"oci:{tmp_path}/back:latest", "--all")
    assert layout_digest(tmp_path / "back", "latest") == multi_arch.digest
    back = Layout(tmp_path / "back", "latest", multi_arch.digest)
    assert [d for d, _ in back.manifests()] == [d for d, _ in multi_arch.manifests()]
    Api(flaskreg.url, "skopeo/multi").check_holds(multi_arch, "latest")


@pytest.mark.parametrize("arch", ["arm64", "s390x"])
def test_copy_of_one_architecture(
    flaskreg: Server, multi_arch: Layout, tmp_path: Path, arch: str
) -> None:
    """A client that asks for one architecture gets that image out of the index."""
    reference = remote(flaskreg, "skopeo/pick:latest")
    skopeo_copy(multi_arch.source, reference, "--all")
    skopeo("--override-arch", arch, "copy", "--quiet", "--src-tls-verify=false",
           reference, f"oci:{tmp_path}/back:latest")  # fmt: skip
    picked = layout_digest(tmp_path / "back", "latest")
    platforms = {
        entry["digest"]: entry["platform"]["architecture"]
        for entry in multi_arch.document(multi_arch.digest)["manifests"]
    }
    assert platforms[picked] == arch


def test_copy_between_repositories_mounts(flaskreg: Server, image: Layout) -> None:
    """A copy inside one registry reuses the blobs that it has."""
    skopeo_copy(image.source, remote(flaskreg, "skopeo/from:one"))
    skopeo_copy(
        remote(flaskreg, "skopeo/from:one"), remote(flaskreg, "skopeo/into:one")
    )
    Api(flaskreg.url, "skopeo/into").check_holds(image, "one")


def test_docker_schema_two(
    flaskreg: Server, image: Layout, docker_image: Layout, tmp_path: Path
) -> None:
    """Docker's media types are kept; ``--format v2s2`` pushes an image as them."""
    kept = remote(flaskreg, "skopeo/docker:kept")
    push_layout(flaskreg, "skopeo/docker", docker_image, "kept")
    assert skopeo_digest(kept) == docker_image.digest
    assert json.loads(skopeo_raw(kept))["mediaType"] == DOCKER.manifest

    converted = remote(flaskreg, "skopeo/docker:converted")
    skopeo_copy(image.source, converted, "--format", "v2s2")
    raw = skopeo_raw(converted)
    assert json.loads(raw)["mediaType"] == DOCKER.manifest
    skopeo_copy(converted, f"dir:{tmp_path}/back")
    assert (tmp_path / "back/manifest.json").read_text() == raw


def test_docker_manifest_list(flaskreg: Server, docker_list: Layout) -> None:
    """A docker manifest list is kept with its children."""
    push_layout(flaskreg, "skopeo/list", docker_list, "latest")
    copied = remote(flaskreg, "skopeo/listcopy:latest")
    skopeo_copy(remote(flaskreg, "skopeo/list:latest"), copied, "--all")
    Api(flaskreg.url, "skopeo/listcopy").check_holds(docker_list, "latest")


def test_inspect(flaskreg: Server, image: Layout) -> None:
    """``inspect`` shows name, tags, layers and the image's configuration."""
    reference = remote(flaskreg, "skopeo/inspect:one")
    skopeo_copy(image.source, reference)
    shown: dict[str, Any] = json.loads(
        skopeo("inspect", "--tls-verify=false", reference)
    )
    assert shown["Name"] == f"{flaskreg.host}/skopeo/inspect"
    assert shown["RepoTags"] == ["one"]
    assert shown["Digest"] == image.digest
    manifest = image.document(image.digest)
    assert shown["Layers"] == [layer["digest"] for layer in manifest["layers"]]
    assert shown["Architecture"] == "amd64"
    config = json.loads(skopeo("inspect", "--config", "--tls-verify=false", reference))
    assert config["rootfs"]["type"] == "layers"


def test_list_tags(flaskreg: Server, image: Layout) -> None:
    """``list-tags`` shows each tag once, in order."""
    tags = [f"v{number}" for number in range(12)]
    Api(flaskreg.url, "skopeo/tags").push(image, *tags)
    assert skopeo_tags(remote(flaskreg, "skopeo/tags")) == sorted(tags)


def test_delete(flaskreg: Server, image: Layout) -> None:
    """``delete`` removes the image; another repository keeps its own."""
    for name in ("skopeo/gone", "skopeo/stays"):
        skopeo_copy(image.source, remote(flaskreg, f"{name}:one"))
    skopeo("delete", "--tls-verify=false", remote(flaskreg, "skopeo/gone:one"))

    gone = Api(flaskreg.url, "skopeo/gone")
    assert gone.call("GET", "manifests/one").status_code == 404
    assert gone.call("GET", f"manifests/{image.digest}").status_code == 404
    Api(flaskreg.url, "skopeo/stays").check_holds(image, "one")


def test_sync(flaskreg: Server, multi_arch: Layout, tmp_path: Path) -> None:
    """``sync`` carries a whole repository to a folder and into another name."""
    tags = ["a", "b"]
    Api(flaskreg.url, "skopeo/sync").push(multi_arch, *tags)
    source = f"{flaskreg.host}/skopeo/sync"
    options = ("--all", "--src", "docker", "--src-tls-verify=false")
    skopeo("sync", *options, "--dest", "dir", source, str(tmp_path))
    kept = sorted(folder.name for folder in tmp_path.iterdir())
    assert kept == ["sync:a", "sync:b"]

    skopeo("sync", *options, "--dest", "docker", "--dest-tls-verify=false",
           source, f"{flaskreg.host}/skopeo/synced")  # fmt: skip
    synced = Api(flaskreg.url, "skopeo/synced/sync")
    for tag in tags:
        synced.check_holds(multi_arch, tag)


def test_copy_as_an_archive_and_back(
    flaskreg: Server, image: Layout, tmp_path: Path
) -> None:
    """An image pulled for ``docker load`` and pushed again keeps its files."""
    reference = remote(flaskreg, "skopeo/archive:one")
    skopeo_copy(image.source, reference)
    archive = f"docker-archive:{tmp_path}/image.tar:archive:one"
    skopeo_copy(reference, archive)
    again = remote(flaskreg, "skopeo/archive:two")
    skopeo_copy(archive, again)
    diff_ids = [
        json.loads(skopeo("inspect", "--config", "--tls-verify=false", where))["rootfs"]
        for where in (reference, again)
    ]
    assert diff_ids[0] == diff_ids[1]


def test_push_again_uploads_nothing(flaskreg: Server, tmp_path: Path) -> None:
    """A second push of one image finds every blob there and leaves no session."""
    image = make_layout(tmp_path / "image", seed="again")
    for tag in ("one", "two"):
        skopeo_copy(image.source, remote(flaskreg, f"skopeo/again:{tag}"))
    uploads = flaskreg.tree / "repositories/skopeo/again/_uploads"
    assert not list(uploads.glob("*"))


def push_layout(server: Server, name: str, layout: Layout, *tags: str) -> None:
    """Push a layout as it is: skopeo refuses docker's types in an OCI layout."""
    Api(server.url, name).push(layout, *tags)


def test_unpack_what_was_pulled(
    flaskreg: Server, image: Layout, tmp_path: Path
) -> None:
    """umoci can unpack a pulled image: the layers are whole and in order."""
    reference = remote(flaskreg, "skopeo/unpack:one")
    skopeo_copy(image.source, reference)
    skopeo_copy(reference, f"oci:{tmp_path}/back:one")
    run([need("umoci"), "unpack", "--image", f"{tmp_path}/back:one", f"{tmp_path}/u"])
    files = sorted((tmp_path / "u/rootfs/data/amd64").iterdir())
    assert [file.stat().st_size for file in files] == [64 * 1024] * 3
