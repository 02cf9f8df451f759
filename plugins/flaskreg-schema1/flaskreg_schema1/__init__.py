"""Signed manifests: docker's image manifest version 2, schema 1."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Mapping

from flaskreg import hookimpl
from flaskreg.manifest import ManifestType
from flaskreg.mediatypes import DOCKER_SCHEMA1
from flaskreg.services import Repository
from flaskreg_schema1.payload import PayloadType as PayloadType
from flaskreg_schema1.repository import SignedRepository as SignedRepository


@hookimpl
def flaskreg_register_manifest_types() -> Mapping[str, ManifestType]:
    """Offer what is stored: the payload that signatures are of."""
    return {DOCKER_SCHEMA1: PayloadType()}


@hookimpl(wrapper=True)
def flaskreg_make_repository() -> Generator[None, Repository, Repository]:
    """Let each repository take signed manifests apart, and put them together."""
    repository = yield
    return SignedRepository(repository)
