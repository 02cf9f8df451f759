"""podman and buildah against a real server, each with a storage of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .api import Api
from .clients import Podman
from .images import OCI
from .images import Layout
from .images import digest_of
from .servers import Server


pytestmark = pytest.mark.live


def test_push_and_pull(
    flaskreg: Server,
    image: Layout,
    podman: Podman,
    fresh_podman: Podman,
    tmp_path: Path,
) -> None:
    """An image that podman pushed is the same image in another podman."""
    pushed = podman("pull", "--quiet", image.source)
    reference = f"{flaskreg.host}/podman/plain:one"
    digest_file = tmp_path / "digest"
    podman("push", "--quiet", "--tls-verify=false", "--digestfile", str(digest_file),
           pushed, f"docker://{reference}")  # fmt: skip
    digest = digest_file.read_text()
    manifest, _ = Api(flaskreg.url, "podman/plain").pull_manifest("one")
    assert digest_of(manifest) == digest

    pulled = fresh_podman("pull", "--quiet", "--tls-verify=false", reference)
    assert pulled == pushed
    by_digest = f"{flaskreg.host}/podman/plain@{digest}"
    assert fresh_podman("pull", "--quiet", "--tls-verify=false", by_digest) == pushed


def test_pull_what_skopeo_sees(
    flaskreg: Server, multi_arch: Layout, podman: Podman
) -> None:
    """podman picks its own architecture out of an index, and any other if told."""
    Api(flaskreg.url, "podman/multi").push(multi_arch, "latest")
    reference = f"{flaskreg.host}/podman/multi:latest"
    for arch in ("amd64", "arm64"):
        podman("pull", "--quiet", "--tls-verify=false", "--arch", arch, reference)
        (shown,) = json.loads(podman("image", "inspect", reference))
        assert shown["Architecture"] == arch


def test_push_of_docker_types(
    flaskreg: Server, image: Layout, podman: Podman, fresh_podman: Podman
) -> None:
    """``--format v2s2`` pushes docker's media types, and they can be pulled."""
    pushed = podman("pull", "--quiet", image.source)
    reference = f"{flaskreg.host}/podman/docker:one"
    podman("push", "--quiet", "--tls-verify=false", "--format", "v2s2",
           pushed, f"docker://{reference}")  # fmt: skip
    manifest, media_type = Api(flaskreg.url, "podman/docker").pull_manifest("one")
    assert media_type.startswith("application/vnd.docker.distribution.manifest.v2")
    assert json.loads(manifest)["mediaType"] == media_type
    fresh_podman("pull", "--quiet", "--tls-verify=false", reference)


def test_manifest_list(
    flaskreg: Server, multi_arch: Layout, podman: Podman, fresh_podman: Podman
) -> None:
    """A manifest list made by podman arrives with every image that it lists."""
    Api(flaskreg.url, "podman/parts").push(multi_arch)
    podman("manifest", "create", "made")
    for child in multi_arch.document(multi_arch.digest)["manifests"]:
        source = f"docker://{flaskreg.host}/podman/parts@{child['digest']}"
        podman("manifest", "add", "--tls-verify=false", "made", source)
    reference = f"{flaskreg.host}/podman/list:latest"
    podman("manifest", "push", "--all", "--tls-verify=false", "--format", "oci",
           "made", f"docker://{reference}")  # fmt: skip

    raw, media_type = Api(flaskreg.url, "podman/list").pull_manifest("latest")
    assert media_type == OCI.index
    listed = {entry["platform"]["architecture"]: entry for entry in
              json.loads(raw)["manifests"]}  # fmt: skip
    assert sorted(listed) == ["amd64", "arm64", "s390x"]
    for arch in listed:
        fresh_podman("pull", "--quiet", "--tls-verify=false", "--arch", arch, reference)


def test_search_lists_tags(flaskreg: Server, podman: Podman) -> None:
    """``podman search --list-tags`` shows the tags of a repository."""
    api = Api(flaskreg.url, "podman/search")
    config = api.push_blob(b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "config": {"mediaType": OCI.config, "digest": config, "size": 2},
        "layers": [],
    }
    for tag in ("b", "a"):
        api.push_manifest(tag, json.dumps(manifest).encode(), OCI.manifest)
    shown = podman("search", "--tls-verify=false", "--list-tags",
                   f"{flaskreg.host}/podman/search")  # fmt: skip
    listed = [line.split()[1] for line in shown.splitlines()[1:]]
    assert listed == ["a", "b"]


def test_buildah_from_and_push(
    flaskreg: Server, image: Layout, buildah: Podman, tmp_path: Path
) -> None:
    """buildah builds on a pulled image and pushes what it made of it."""
    api = Api(flaskreg.url, "buildah/base")
    api.push(image, "one")
    container = buildah(
        "from",
        "--tls-verify=false",
        "--pull-always",
        f"{flaskreg.host}/buildah/base:one",
    )
    note = tmp_path / "note"
    note.write_text("one more layer\n")
    buildah("copy", container, str(note), "/note")
    buildah("commit", "--quiet", container, "made:one")
    digest_file = tmp_path / "digest"
    buildah("push", "--tls-verify=false", "--digestfile", str(digest_file),
            "made:one", f"docker://{flaskreg.host}/buildah/made:one")  # fmt: skip

    made = Api(flaskreg.url, "buildah/made")
    raw, _ = made.pull_manifest("one")
    assert digest_of(raw) == digest_file.read_text()
    layers = json.loads(raw)["layers"]
    assert len(layers) == 4
    for layer in layers:
        made.pull_blob(layer["digest"])
