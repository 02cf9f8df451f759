"""Media types and their families.

Source: OCI image specification, "Media Types"; docker's image manifest version 2.
"""

from __future__ import annotations


OCTET_STREAM = "application/octet-stream"

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_PLUGIN_CONFIG = "application/vnd.docker.plugin.v1+json"

#: manifests that list blobs.
IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
#: manifests that list manifests.
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})

#: layers that are fetched from their ``urls`` and need not be in the registry.
FOREIGN_LAYERS = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)


def essence(value: str) -> str:
    """Return a ``Content-Type`` value without its parameters."""
    return value.partition(";")[0].strip().lower()
