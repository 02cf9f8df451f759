"""The manifest type of what is signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import ManifestInvalid
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestType
from flaskreg.mediatypes import DOCKER_SCHEMA1


#: layers of this time, whose manifests tell no media type of them.
LAYER = "application/vnd.docker.container.image.rootfs.diff+x-gtar"


class PayloadType(ManifestType):
    """An image manifest that lists its layers from the last to the first.

    The media types and sizes of its layers are told nowhere: they have the size 0 here.
    """

    media_type = DOCKER_SCHEMA1

    def parse(
        self, content: bytes, document: Mapping[str, Any], digest: Digest
    ) -> Manifest:
        """Read a manifest without its signatures."""
        version = document.get("schemaVersion")
        if version != 1 or isinstance(version, bool):
            raise ManifestInvalid(f"schemaVersion: {version!r} is not 1")
        for key in ("name", "tag"):
            if not isinstance(document.get(key), str):
                raise ManifestInvalid(f"{key}: text is wanted")
        layers = _members(document, "fsLayers", "blobSum")
        history = _members(document, "history", "v1Compatibility")
        if len(layers) != len(history):
            raise ManifestInvalid("fsLayers and history: as many of both are wanted")
        digests = dict.fromkeys(parse_digest(each) for each in layers)
        return Manifest(
            media_type=self.media_type,
            content=content,
            digest=digest,
            blobs=tuple(Descriptor(LAYER, each, 0) for each in digests),
            document=document,
        )


def _members(document: Mapping[str, Any], key: str, member: str) -> list[str]:
    """Return one member of each entry of a list.

    :raises ManifestInvalid: it is empty or no list, or an entry has no such text.
    """
    listed = document.get(key)
    if not isinstance(listed, list) or not listed:
        raise ManifestInvalid(f"{key}: a list is wanted")
    found = []
    for at, entry in enumerate(listed):
        value = entry.get(member) if isinstance(entry, dict) else None
        if not isinstance(value, str):
            raise ManifestInvalid(f"{key}[{at}].{member}: text is wanted")
        found.append(value)
    return found
