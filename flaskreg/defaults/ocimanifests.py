"""The manifest types of the OCI image specification.

The document is read as it is: members that nobody knows stay in the stored bytes, and
what only a check should refuse is left to the manifest options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskreg.descriptor import Descriptor
from flaskreg.descriptor import parse_annotations
from flaskreg.descriptor import parse_descriptor
from flaskreg.digest import Digest
from flaskreg.errors import ManifestInvalid
from flaskreg.hookspecs import hookimpl
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestType
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST


def check_schema_version(document: Mapping[str, Any]) -> None:
    """Refuse what is not version 2.

    :raises ManifestInvalid: ``schemaVersion`` is missing or another.
    """
    version = document.get("schemaVersion")
    if version != 2 or isinstance(version, bool):
        raise ManifestInvalid(f"schemaVersion: {version!r} is not 2")


def parse_descriptors(document: Any, where: str) -> tuple[Descriptor, ...]:
    """Parse a list of descriptors; a missing list is an empty one.

    :raises ManifestInvalid: it is not a list of descriptors.
    """
    if document is None:
        return ()
    if not isinstance(document, list):
        raise ManifestInvalid(f"{where}: a list of descriptors is wanted")
    return tuple(
        parse_descriptor(item, f"{where}[{at}]") for at, item in enumerate(document)
    )


class ImageType(ManifestType):
    """A manifest that lists a configuration and layers.

    :param media_type: the media type it is known by.
    """

    def __init__(self, media_type: str = OCI_MANIFEST) -> None:
        self.media_type = media_type

    def parse(
        self, content: bytes, document: Mapping[str, Any], digest: Digest
    ) -> Manifest:
        """Read an image manifest."""
        check_schema_version(document)
        config = parse_descriptor(document.get("config"), "config")
        layers = parse_descriptors(document.get("layers"), "layers")
        stated = _text(document, "artifactType")
        return Manifest(
            media_type=self.media_type,
            content=content,
            digest=digest,
            blobs=(config, *layers),
            subject=parse_subject(document),
            artifact_type=stated or config.media_type or None,
            annotations=parse_annotations(document.get("annotations"), "manifest"),
            document=document,
        )


class IndexType(ManifestType):
    """A manifest that lists manifests.

    :param media_type: the media type it is known by.
    """

    index = True

    def __init__(self, media_type: str = OCI_INDEX) -> None:
        self.media_type = media_type

    def parse(
        self, content: bytes, document: Mapping[str, Any], digest: Digest
    ) -> Manifest:
        """Read an index."""
        check_schema_version(document)
        return Manifest(
            media_type=self.media_type,
            content=content,
            digest=digest,
            manifests=parse_descriptors(document.get("manifests"), "manifests"),
            subject=parse_subject(document),
            artifact_type=_text(document, "artifactType") or None,
            annotations=parse_annotations(document.get("annotations"), "index"),
            document=document,
        )


def parse_subject(document: Mapping[str, Any]) -> Descriptor | None:
    """Parse the ``subject`` of a manifest, if it has one.

    :raises ManifestInvalid: it is not a descriptor.
    """
    subject = document.get("subject")
    return None if subject is None else parse_descriptor(subject, "subject")


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ManifestInvalid(f"{key}: a string is wanted")


@hookimpl
def flaskreg_register_manifest_types() -> Mapping[str, ManifestType]:
    """Offer the image manifest and the index."""
    return {OCI_MANIFEST: ImageType(), OCI_INDEX: IndexType()}
