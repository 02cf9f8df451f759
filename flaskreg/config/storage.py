"""The ``storage`` section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any
from typing import ClassVar

from pydantic import Field
from pydantic import StringConstraints

from flaskreg.config.section import Choice
from flaskreg.config.section import Section
from flaskreg.config.section import WrittenSeconds


class Delete(Section):
    """``storage.delete``."""

    enabled: bool = Field(
        default=False,
        description="Whether blobs, manifests and tags may be deleted.",
    )


class Redirect(Section):
    """``storage.redirect``."""

    disable: bool = Field(
        default=False,
        description=(
            "Whether content is always streamed by the registry, even where the "
            "driver could send the client to the backend."
        ),
    )


class Cache(Section):
    """``storage.cache``."""

    blobdescriptor: str | None = Field(
        default=None,
        description="The descriptor cache by name, such as `inmemory`; unset: none.",
    )
    layerinfo: str | None = Field(
        default=None,
        description="The old name of `storage.cache.blobdescriptor`.",
    )
    blobdescriptorsize: int = Field(
        default=10000,
        description=(
            "The most descriptors that the cache holds, where it is the one who "
            "decides; 0 or less: no limit."
        ),
    )
    options: Mapping[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="The parameters of a cache of a plugin, such as `sqlite`.",
    )


class Tag(Section):
    """``storage.tag``."""

    concurrencylimit: int = Field(
        default=0,
        ge=0,
        description=(
            "How many tags are read at a time when a manifest is deleted; "
            "0: as many as there are CPUs."
        ),
    )


class UploadPurging(Section):
    """``storage.maintenance.uploadpurging``."""

    enabled: bool = Field(
        default=True,
        description="Whether unfinished uploads are deleted when they are old.",
    )
    age: WrittenSeconds = Field(
        default=604800.0,
        description=(
            "How long nothing must have happened to an unfinished upload for it to be "
            "deleted."
        ),
    )
    interval: WrittenSeconds = Field(
        default=86400.0,
        description="The time between two looks at the unfinished uploads.",
    )
    dryrun: bool = Field(
        default=False,
        description="Whether old uploads are only logged.",
    )


class ReadOnly(Section):
    """``storage.maintenance.readonly``."""

    enabled: bool = Field(
        default=False,
        description=(
            "Whether every write is refused with 405; `flaskreg readonly` does so at "
            "run time."
        ),
    )


class Maintenance(Section):
    """``storage.maintenance``."""

    uploadpurging: UploadPurging = Field(
        default_factory=UploadPurging,
        description="Deletion of unfinished uploads.",
    )
    readonly: ReadOnly = Field(
        default_factory=ReadOnly,
        description="A registry that only serves.",
    )


class Storage(Choice):
    """``storage``: one driver with its parameters, and what holds for every driver."""

    selector: ClassVar[str] = "driver"
    ambiguous: ClassVar[str] = "must provide exactly one storage type. Provided:"

    driver: str = Field(
        default="filesystem",
        description="The storage driver by name.",
    )
    delete: Delete = Field(default_factory=Delete, description="Deletion.")
    redirect: Redirect = Field(
        default_factory=Redirect,
        description="Redirects to the backend.",
    )
    cache: Cache = Field(default_factory=Cache, description="The descriptor cache.")
    tag: Tag = Field(default_factory=Tag, description="Tags.")
    maintenance: Maintenance = Field(
        default_factory=Maintenance,
        description="Maintenance.",
    )
    scope: list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        default_factory=list,
        description=(
            "Globs of the repository names that are served, such as `team/*`; any "
            "other name is unknown. Empty: every name is served."
        ),
    )
