"""Descriptors: what is said of content without having it.

Source: OCI image specification, "OCI Content Descriptors".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import ManifestInvalid


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The media type, digest and size of content, and what else is known of it."""

    media_type: str
    digest: Digest
    #: in bytes.
    size: int
    annotations: Mapping[str, str] | None = None
    urls: tuple[str, ...] = ()
    #: ``None`` where the content states none.
    artifact_type: str | None = None
    #: the ``platform`` object as it stands in the document; ``None`` without one.
    platform: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, without members that are not set."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.urls:
            document["urls"] = list(self.urls)
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.platform:
            document["platform"] = dict(self.platform)
        return document


def parse_descriptor(document: Any, where: str) -> Descriptor:
    """Parse a descriptor of a manifest.

    :param document: the decoded JSON value.
    :param where: its place in the manifest, for the error, such as ``layers[0]``.
    :raises ManifestInvalid: it is not a descriptor.
    :raises DigestInvalid: its digest is not one.
    """
    if not isinstance(document, dict):
        raise ManifestInvalid(f"{where}: a descriptor is an object")
    size = document.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestInvalid(f"{where}.size: a size is a number from 0")
    platform = document.get("platform")
    if platform is not None and not isinstance(platform, dict):
        raise ManifestInvalid(f"{where}.platform: a platform is an object")
    return Descriptor(
        media_type=_text(document, "mediaType", where) or "",
        digest=parse_digest(_text(document, "digest", where) or ""),
        size=size,
        annotations=parse_annotations(document.get("annotations"), where),
        urls=_urls(document.get("urls"), where),
        artifact_type=_text(document, "artifactType", where),
        platform=platform,
    )


def parse_annotations(document: Any, where: str) -> Mapping[str, str] | None:
    """Parse an ``annotations`` member: an object of strings, or nothing.

    :raises ManifestInvalid: it is something else.
    """
    if document is None:
        return None
    if isinstance(document, dict) and all(
        isinstance(value, str) for value in document.values()
    ):
        return document
    raise ManifestInvalid(f"{where}.annotations: annotations map strings to strings")


def _text(document: Mapping[str, Any], key: str, where: str) -> str | None:
    value = document.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ManifestInvalid(f"{where}.{key}: a string is wanted")


def _urls(document: Any, where: str) -> tuple[str, ...]:
    if document is None:
        return ()
    if isinstance(document, list) and all(isinstance(url, str) for url in document):
        return tuple(document)
    raise ManifestInvalid(f"{where}.urls: a list of strings is wanted")
