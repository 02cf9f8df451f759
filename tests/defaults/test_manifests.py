"""The manifest types of the core: the suite over each, and their small differences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from builders import descriptor
from builders import encode
from builders import image
from builders import index

from flaskreg.defaults import dockermanifests
from flaskreg.defaults import ocimanifests
from flaskreg.digest import Digest
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestType
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.testing import ManifestTypeTests


TYPES: dict[str, ManifestType] = {
    **ocimanifests.flaskreg_register_manifest_types(),
    **dockermanifests.flaskreg_register_manifest_types(),
}

CHILD = descriptor(b"child", OCI_MANIFEST, platform={"os": "linux"})


def changed(content: bytes, **members: Any) -> bytes:
    """Return a document with other members; ``...`` takes one away."""
    document = {**json.loads(content), **members}
    return encode({key: value for key, value in document.items() if value is not ...})


class ImageTests(ManifestTypeTests):
    """What holds for both types of images."""

    media_type = OCI_MANIFEST

    @pytest.fixture
    def parser(self) -> ManifestType:
        """Return the type that the core registers."""
        return TYPES[self.media_type]

    @pytest.fixture
    def valid(self) -> Sequence[bytes]:
        """Return images."""
        return [
            image(media_type=self.media_type),
            image(layers=[b"one", b"two"], media_type=self.media_type),
            image(media_type=self.media_type, annotations={"a": "b"}, x=[1]),
            changed(image(), layers=...),
            changed(image(), layers=None, annotations=None, subject=None),
        ]

    @pytest.fixture
    def invalid(self) -> Sequence[bytes]:
        """Return what is no image."""
        good = image()
        return [
            b"{}",
            changed(good, schemaVersion=...),
            changed(good, schemaVersion=1),
            changed(good, schemaVersion="2"),
            changed(good, schemaVersion=True),
            changed(good, config=...),
            changed(good, config=[]),
            changed(good, config={}),
            changed(good, config={"digest": "sha256:abc", "size": 1}),
            changed(good, config={**descriptor(b""), "size": -1}),
            changed(good, layers={}),
            changed(good, layers=[1]),
            changed(good, layers=[{}]),
            changed(good, subject=[]),
            changed(good, subject={"digest": "x", "size": 1}),
            changed(good, annotations={"a": 1}),
            changed(good, artifactType=5),
        ]


class TestOciImage(ImageTests):
    """The OCI image manifest."""


class TestDockerImage(ImageTests):
    """Docker's image manifest, version 2, schema 2."""

    media_type = DOCKER_MANIFEST


class IndexTests(ManifestTypeTests):
    """What holds for both types of indexes."""

    media_type = OCI_INDEX

    @pytest.fixture
    def parser(self) -> ManifestType:
        """Return the type that the core registers."""
        return TYPES[self.media_type]

    @pytest.fixture
    def valid(self) -> Sequence[bytes]:
        """Return indexes."""
        return [
            index(media_type=self.media_type),
            index([CHILD], self.media_type, annotations={"a": "b"}),
            index([CHILD, descriptor(b"b", OCI_INDEX)], self.media_type, x=None),
            changed(index(), manifests=...),
        ]

    @pytest.fixture
    def invalid(self) -> Sequence[bytes]:
        """Return what is no index."""
        good = index([CHILD])
        return [
            b"{}",
            changed(good, schemaVersion=3),
            changed(good, manifests={}),
            changed(good, manifests=["x"]),
            changed(good, manifests=[{**CHILD, "platform": []}]),
            changed(good, manifests=[{**CHILD, "digest": "sha256:abc"}]),
            changed(good, subject=5),
            changed(good, annotations=[]),
            changed(good, artifactType=[]),
        ]


class TestOciIndex(IndexTests):
    """The OCI index."""


class TestDockerList(IndexTests):
    """Docker's manifest list."""

    media_type = DOCKER_LIST


def parse(content: bytes, media_type: str) -> Manifest:
    """Parse a manifest of a type."""
    kind = TYPES[media_type]
    return kind.parse(content, json.loads(content), Digest.of(content))


def test_the_hooks_offer_each_under_its_media_type() -> None:
    """The four types that registries have."""
    assert TYPES.keys() == {OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST}
    for media_type, kind in TYPES.items():
        assert kind.media_type == media_type
        assert kind.index == (media_type in {OCI_INDEX, DOCKER_LIST})


def test_an_image_lists_its_configuration_first() -> None:
    """Then its layers, each as often as it stands there."""
    manifest = parse(image(b"config", [b"a", b"b", b"a"]), OCI_MANIFEST)
    expected = [Digest.of(content) for content in (b"config", b"a", b"b", b"a")]
    assert [blob.digest for blob in manifest.blobs] == expected
    assert manifest.manifests == ()


def test_an_index_lists_manifests_with_their_platforms() -> None:
    """And no blobs."""
    manifest = parse(index([CHILD]), OCI_INDEX)
    assert manifest.blobs == ()
    (child,) = manifest.manifests
    assert child.platform == {"os": "linux"}
    assert child.media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (image(artifactType="a/b"), OCI_MANIFEST, "a/b"),
        (image(config_type="c/d"), OCI_MANIFEST, "c/d"),
        (image(config_type=""), OCI_MANIFEST, None),
        (index(artifactType="a/b"), OCI_INDEX, "a/b"),
        (index(artifactType=""), OCI_INDEX, None),
        (index(), OCI_INDEX, None),
    ],
)
def test_artifact_types(content: bytes, media_type: str, expected: str | None) -> None:
    """The specification's fallback to the configuration is for images alone."""
    assert parse(content, media_type).artifact_type == expected


def test_a_digest_error_is_one() -> None:
    """A bad digest is told from a bad document, as distribution does."""
    content = changed(image(), config={"mediaType": "a", "size": 1})
    with pytest.raises(DigestInvalid):
        parse(content, OCI_MANIFEST)
    with pytest.raises(ManifestInvalid, match=r"layers\[1\]\.size"):
        parse(changed(image(), layers=[descriptor(b""), {}]), OCI_MANIFEST)
