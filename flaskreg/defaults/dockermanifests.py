"""The manifest types of docker: image manifest version 2, schema 2, and its list."""

from __future__ import annotations

from collections.abc import Mapping

from flaskreg.defaults.ocimanifests import ImageType
from flaskreg.defaults.ocimanifests import IndexType
from flaskreg.hookspecs import hookimpl
from flaskreg.manifest import ManifestType
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST


@hookimpl
def flaskreg_register_manifest_types() -> Mapping[str, ManifestType]:
    """Offer the manifest and the list, which have the shape of the OCI ones."""
    return {
        DOCKER_MANIFEST: ImageType(DOCKER_MANIFEST),
        DOCKER_LIST: IndexType(DOCKER_LIST),
    }
