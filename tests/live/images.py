"""Real OCI image layouts, made here: plain, multi-architecture, docker, artifacts."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .tools import need
from .tools import run


KIB = 1024
MIB = 1024 * KIB
REF_NAME = "org.opencontainers.image.ref.name"
CREATED = "2023-11-14T22:13:20Z"
MTIME = 1_700_000_000
WORDS = b"lorem ipsum dolor sit amet registry blob manifest layer tag digest".split()


@dataclass(frozen=True)
class Types:
    """The media types of one family."""

    manifest: str
    config: str
    layer: str
    index: str


OCI = Types(
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.index.v1+json",
)
DOCKER = Types(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True)
class Layout:
    """An OCI image layout on disk, and the one thing that it tags."""

    path: Path
    tag: str
    digest: str

    @property
    def source(self) -> str:
        """The layout as skopeo and podman name it."""
        return f"oci:{self.path}:{self.tag}"

    def blob(self, digest: str) -> Path:
        """Return the file of a digest."""
        algorithm, _, encoded = digest.partition(":")
        return self.path / "blobs" / algorithm / encoded

    def document(self, digest: str) -> Any:
        """Return a manifest of the layout, parsed."""
        return json.loads(self.blob(digest).read_bytes())

    def manifests(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each manifest with its digest, children before their index."""
        top = self.document(self.digest)
        for child in top.get("manifests", ()):
            yield child["digest"], self.document(child["digest"])
        yield self.digest, top

    def blobs(self) -> list[str]:
        """Return every config and layer digest, each once."""
        found: dict[str, None] = {}
        for _, manifest in self.manifests():
            if "config" in manifest:
                for descriptor in (manifest["config"], *manifest["layers"]):
                    found[descriptor["digest"]] = None
        return list(found)


def media_type_of(manifest: Mapping[str, Any]) -> str:
    """Return a manifest's media type; OCI's may leave it out."""
    default = OCI.index if "manifests" in manifest else OCI.manifest
    return str(manifest.get("mediaType", default))


class Content(io.RawIOBase):
    """A file of ``size`` bytes that gzip halves, or that it cannot shrink."""

    def __init__(self, seed: str, size: int, *, noise: bool) -> None:
        self.random = random.Random(seed)
        self.left = size
        self.noise = noise
        self.pool = b" ".join(self.random.choices(WORDS, k=12_000))

    def read(self, size: int = -1) -> bytes:
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        if self.noise:
            return self.random.randbytes(size)
        parts = []
        for _ in range(size // 4096 + 1):
            at = self.random.randrange(len(self.pool) - 2700)
            parts += [self.random.randbytes(1400), self.pool[at : at + 2696]]
        return b"".join(parts)[:size]


class Tee(io.RawIOBase):
    """Writes on to ``file``, counting and hashing what passes."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.file.write(data)
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        self.file.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self.hash.hexdigest()}"


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def make_layer(
    blobs: Path, name: str, seed: str, size: int, *, noise: bool
) -> tuple[str, int, str]:
    """Write one gzipped tar with one file; return digest, size and diff id."""
    partial = blobs / ".partial"
    with partial.open("wb") as file:
        compressed = Tee(file)
        with gzip.GzipFile(
            filename="",
            mode="wb",
            fileobj=compressed,
            compresslevel=0 if noise else 1,
            mtime=0,
        ) as packer:
            plain = Tee(packer)
            with tarfile.open(fileobj=plain, mode="w|", bufsize=MIB) as archive:
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.mode = size, MTIME, 0o644
                archive.addfile(member, Content(seed, size, noise=noise))
    partial.rename(blobs / compressed.digest.removeprefix("sha256:"))
    return compressed.digest, compressed.size, plain.digest


def put_blob(blobs: Path, data: bytes, media_type: str) -> dict[str, Any]:
    """Write one blob; return its descriptor."""
    digest = digest_of(data)
    (blobs / digest.removeprefix("sha256:")).write_bytes(data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def image_config(arch: str, diff_ids: Sequence[str]) -> bytes:
    """Return the configuration of an image."""
    history = [
        {"created": CREATED, "created_by": f"layer {number}"}
        for number in range(len(diff_ids))
    ]
    return json.dumps(
        {
            "architecture": arch,
            "os": "linux",
            "created": CREATED,
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            "history": history,
        }
    ).encode()


def make_layout(
    out: Path,
    *,
    tag: str = "latest",
    layers: int = 3,
    layer_size: int = 64 * KIB,
    arches: Sequence[str] = ("amd64",),
    docker: bool = False,
    noise: bool = False,
    share: bool = False,
    seed: str = "seed",
    artifact: str | None = None,
    subject: Mapping[str, Any] | None = None,
) -> Layout:
    """Make a layout; the same arguments make the same digests.

    :param noise: layers that do not compress.
    :param share: the architectures differ in their last layer alone.
    :param artifact: an artifact type: an OCI 1.1 artifact in place of an image.
    :param subject: the descriptor for the manifest's ``subject``.
    """
    types = DOCKER if docker else OCI
    blobs = out / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    made: dict[tuple[int, str], tuple[str, int, str]] = {}
    children = []
    for arch in arches:
        descriptors, diff_ids = [], []
        for number in range(layers):
            key = (number, "" if share and number < layers - 1 else arch)
            if key not in made:
                name = f"data/{arch}/layer-{number:04d}.bin"
                made[key] = make_layer(
                    blobs, name, f"{seed}/{key}", layer_size, noise=noise
                )
            digest, size, diff_id = made[key]
            diff_ids.append(diff_id)
            descriptors.append(
                {"mediaType": types.layer, "digest": digest, "size": size}
            )
        if artifact:
            config = put_blob(blobs, b"{}", EMPTY)
        else:
            config = put_blob(blobs, image_config(arch, diff_ids), types.config)
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": types.manifest,
            "config": config,
            "layers": descriptors,
        }
        if artifact:
            manifest["artifactType"] = artifact
        if subject:
            manifest["subject"] = dict(subject)
        child = put_blob(blobs, json.dumps(manifest).encode(), types.manifest)
        children.append(child | {"platform": {"os": "linux", "architecture": arch}})
    if len(children) == 1:
        top = {key: children[0][key] for key in ("mediaType", "digest", "size")}
    else:
        index = {
            "schemaVersion": 2,
            "mediaType": types.index,
            "manifests": children,
        }
        top = put_blob(blobs, json.dumps(index).encode(), types.index)
    write_index(out, [top | {"annotations": {REF_NAME: tag}}])
    return Layout(out, tag, top["digest"])


def write_index(out: Path, manifests: list[dict[str, Any]]) -> None:
    """Write the two files that make a folder an OCI layout."""
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    index = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": manifests}
    (out / "index.json").write_text(json.dumps(index))


SUITE = "bookworm"
# An unpacked architecture gets what is named, and nothing by itself.
STEPS = (("base", "base-files,bash,coreutils"), ("extra", "python3-minimal,curl"))


def make_debian(out: Path, arches: Sequence[str] = ("amd64", "arm64")) -> Layout:
    """Make a real Debian image for each architecture and an index over them.

    The machine's own architecture is set up for real; the others are unpacked only,
    which needs no emulator. Layers: the base system, more packages, one label. A
    layout made by an earlier run is used again.
    """
    done = out / "index-digest"
    if done.exists():
        return Layout(out, SUITE, done.read_text())
    shutil.rmtree(out, ignore_errors=True)
    umoci = need("umoci")
    own = run([need("dpkg"), "--print-architecture"]).stdout.strip()
    run([umoci, "init", "--layout", str(out)])
    with tempfile.TemporaryDirectory(dir=out.parent) as work:
        for arch in arches:
            variant = "minbase" if arch == own else "extract"
            add_debian(umoci, out, Path(work) / arch, arch, variant)
    run([umoci, "gc", "--layout", str(out)])
    digest = index_over(out, arches)
    done.write_text(digest)
    return Layout(out, SUITE, digest)


def add_debian(umoci: str, out: Path, work: Path, arch: str, variant: str) -> None:
    """Add one architecture's image to the layout under ``bookworm-ARCH``."""
    work.mkdir()
    image = f"{out}:{SUITE}-{arch}"
    run([umoci, "new", "--image", image])
    set_config = [umoci, "config", "--image", image]
    run([*set_config, "--os", "linux", "--architecture", arch])
    for step, packages in STEPS:
        archive = work / f"{step}.tar"
        run(
            [
                need("mmdebstrap"),
                "--quiet",
                f"--variant={variant}",
                f"--architectures={arch}",
                "--mode=root",
                f"--include={packages}",
                SUITE,
                str(archive),
            ],
            timeout=600,
            env={"SOURCE_DATE_EPOCH": str(MTIME)},
        )
        bundle = work / step
        run([umoci, "unpack", "--image", image, str(bundle)])
        run(
            [
                *("tar", "-C", str(bundle / "rootfs"), "--exclude=./dev/*"),
                *("-xf", str(archive)),
            ]
        )
        run([umoci, "repack", "--image", image, str(bundle)])
        shutil.rmtree(bundle)
        archive.unlink()
    run([*set_config, "--config.label", f"title=debian {SUITE} {arch}"])


def index_over(out: Path, arches: Sequence[str]) -> str:
    """Tag an index over the architectures' images; return its digest."""
    known = json.loads((out / "index.json").read_text())["manifests"]
    tagged = {entry["annotations"][REF_NAME]: entry for entry in known}
    children = [
        {key: tagged[f"{SUITE}-{arch}"][key] for key in ("mediaType", "digest", "size")}
        | {"platform": {"os": "linux", "architecture": arch}}
        for arch in arches
    ]
    index = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": children}
    top = put_blob(out / "blobs/sha256", json.dumps(index).encode(), OCI.index)
    write_index(out, [*known, top | {"annotations": {REF_NAME: SUITE}}])
    return str(top["digest"])


def tree_digests(folder: Path) -> dict[str, str]:
    """Return path -> digest of every file below ``folder``."""
    return {
        os.path.relpath(file, folder): digest_of(file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
