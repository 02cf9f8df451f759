"""Archives: what ``docker save`` writes, and OCI layouts in a tar file."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import BinaryIO
from typing import cast

from flaskreg.digest import Digest
from flaskreg.mediatypes import DOCKER_CONFIG
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.transfer.layout import Files
from flaskreg.transfer.layout import LayoutSource
from flaskreg.transfer.layout import split_name
from flaskreg.transfer.source import Listing
from flaskreg.transfer.source import ManifestMissing
from flaskreg.transfer.source import Source
from flaskreg.transfer.source import SourceError


#: a layer as docker keeps it in an archive: not compressed.
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_GZIPPED = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_STEP = 1 << 20


class Archive(Files):
    """Files in a tar archive, compressed or not.

    :param path: of the archive.
    :raises SourceError: it is none.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 - closed by close
            self._names = {
                member.name.removeprefix("./"): member
                for member in self._tar.getmembers()
            }
        except tarfile.TarError:
            raise SourceError(f"{path} is no tar archive") from None
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None

    def has(self, name: str) -> bool:
        """Whether a member is there."""
        return name in self._names

    def open(self, name: str) -> BinaryIO:
        """Open a member; a link is followed."""
        try:
            file = self._tar.extractfile(self._names[name])
        except (KeyError, tarfile.TarError):
            file = None
        if file is None:
            raise SourceError(f"the archive has no file {name}")
        return cast("BinaryIO", file)

    def close(self) -> None:
        """Close the archive."""
        self._tar.close()


class DockerArchive(Source):
    """Images of ``docker save``, as it was before it wrote OCI layouts.

    It has configurations and layers, whose digests stay, and no manifests: those are
    made here, the same ones each time.

    :param archive: whose files it is in.
    :raises SourceError: its list of images cannot be read.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._members: dict[Digest, str] = {}
        self._manifests: dict[Digest, bytes] = {}
        self._tags: dict[str, dict[str, Digest]] = {}
        try:
            images = json.loads(archive.read("manifest.json"))
            for image in images:
                self._add(image)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"manifest.json cannot be read: {error!r}") from None

    def iter_repositories(self) -> Iterator[str]:
        """Yield the names of the images; ``""`` for those without one."""
        yield from sorted(self._tags)

    def get_listing(self, repository: str) -> Listing:
        """Return the images of a name."""
        named = self._tags[repository]
        untagged = [digest for tag, digest in named.items() if ":" in tag]
        tags = {tag: digest for tag, digest in named.items() if ":" not in tag}
        return Listing(tags, untagged)

    def get_manifest(self, repository: str, digest: Digest) -> tuple[bytes, str]:
        """Return a manifest that was made of an image."""
        del repository
        try:
            return self._manifests[digest], DOCKER_MANIFEST
        except KeyError:
            raise ManifestMissing(f"no manifest {digest}") from None

    def open_blob(self, repository: str, digest: Digest) -> BinaryIO:
        """Open a configuration or a layer."""
        del repository
        try:
            return self._archive.open(self._members[digest])
        except KeyError:
            raise SourceError(f"the archive has no blob {digest}") from None

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()

    def _add(self, image: dict[str, Any]) -> None:
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": self._describe(image["Config"], DOCKER_CONFIG),
            "layers": [self._describe(name) for name in image["Layers"]],
        }
        content = json.dumps(document, separators=(",", ":")).encode()
        digest = Digest.of(content)
        self._manifests[digest] = content
        names = [split_name(text) for text in image.get("RepoTags") or ()]
        for name, tag in names or [("", "")]:
            self._tags.setdefault(name, {})[tag or digest] = digest

    def _describe(self, member: str, media_type: str = "") -> dict[str, Any]:
        """Return the descriptor of a member, reading it once."""
        digester, size = hashlib.sha256(), 0
        gzipped = False
        with self._archive.open(member) as file:
            while chunk := file.read(_STEP):
                gzipped = gzipped or (not size and chunk.startswith(b"\x1f\x8b"))
                digester.update(chunk)
                size += len(chunk)
        digest = Digest(f"sha256:{digester.hexdigest()}")
        self._members[digest] = member
        media_type = media_type or (_GZIPPED if gzipped else _LAYER)
        return {"mediaType": media_type, "size": size, "digest": digest}


def open_archive(path: Path) -> Source:
    """Return the images of an archive of either form.

    :raises SourceError: it is of neither.
    """
    archive = Archive(path)
    try:
        if archive.has("index.json") and archive.has("oci-layout"):
            return LayoutSource(archive)
        if archive.has("manifest.json"):
            return DockerArchive(archive)
        raise SourceError(
            f"{path} is neither an OCI layout nor what docker save writes"
        )
    except BaseException:
        archive.close()
        raise
