"""Manifests that a registry must refuse, each broken in one way."""

from __future__ import annotations

import json
from typing import Any

from ..images import DOCKER
from ..images import OCI
from .steps import Image
from .steps import descriptor
from .steps import document


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def manifests(oci: Image, docker: Image) -> dict[str, tuple[bytes, str | None]]:
    """Return content and type of each broken push, by what is wrong with it."""
    good: dict[str, Any] = json.loads(oci.manifest)
    old: dict[str, Any] = json.loads(docker.manifest)
    missing = descriptor(b"never pushed", OCI.layer)
    config = good["config"]

    def oci_with(**change: Any) -> tuple[bytes, str | None]:
        return document({**good, **change}), OCI.manifest

    def docker_with(**change: Any) -> tuple[bytes, str | None]:
        return document({**old, **change}), DOCKER.manifest

    def index_with(**change: Any) -> tuple[bytes, str | None]:
        value = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": [], **change}
        return document(value), OCI.index

    def foreign(media_type: str, *urls: str) -> dict[str, Any]:
        return {**missing, "mediaType": media_type, "urls": list(urls)}

    return {
        "no-json": (b"not json", OCI.manifest),
        "empty": (b"", OCI.manifest),
        "list": (b"[]", OCI.manifest),
        "null": (b"null", OCI.manifest),
        "no-type": (oci.manifest, None),
        "type-json": (oci.manifest, "application/json"),
        "type-text": (oci.manifest, "text/plain"),
        "type-schema1": (
            oci.manifest,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ),
        "type-other": (oci.manifest, DOCKER.manifest),
        "type-index": (oci.manifest, OCI.index),
        "schema-1": oci_with(schemaVersion=1),
        "schema-none": oci_with(schemaVersion=None),
        "schema-text": oci_with(schemaVersion="2"),
        "media-type-other": oci_with(mediaType=DOCKER.manifest),
        "docker-media-type-none": docker_with(mediaType=None),
        "docker-schema-1": docker_with(schemaVersion=1),
        "missing-layer": oci_with(layers=[*good["layers"], missing]),
        "missing-two": oci_with(
            config={**config, "digest": descriptor(b"no", "a")["digest"]},
            layers=[missing],
        ),
        "docker-missing-layer": docker_with(layers=[missing]),
        "bad-layer-digest": oci_with(layers=[{**missing, "digest": "sha256:abc"}]),
        "no-layer-digest": oci_with(layers=[{**missing, "digest": ""}]),
        "no-config": oci_with(config={}),
        "both": oci_with(manifests=[]),
        "index-both": index_with(layers=[]),
        "index-missing": index_with(manifests=[{**missing, "mediaType": OCI.manifest}]),
        "index-child-bad": index_with(manifests=[{**missing, "digest": "x"}]),
        "index-schema": index_with(schemaVersion=1),
        "foreign-no-url": docker_with(layers=[foreign(FOREIGN)]),
        "foreign-url": docker_with(layers=[foreign(FOREIGN, "https://a.example/x")]),
        "foreign-bad-url": docker_with(layers=[foreign(FOREIGN, "file:///etc")]),
        "layer-url": oci_with(
            layers=[{**good["layers"][0], "urls": ["https://a.example/x"]}]
        ),
        "nondistributable-url": oci_with(
            layers=[foreign(NONDISTRIBUTABLE, "https://a.example/x")]
        ),
        "too-large": oci_with(annotations={"a": "x" * (4 << 20)}),
    }
