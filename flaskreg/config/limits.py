"""The small sections: what a list or a push may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic import Field

from flaskreg.config.section import Section


def _entries(value: int) -> int:
    return value if value > 0 else 1000


def _tags(value: int) -> int:
    if value < 0:
        raise ValueError("maxtags limit must be a non-negative integer value")
    return value or 1000


class Catalog(Section):
    """``catalog``: the list of repositories."""

    maxentries: Annotated[int, AfterValidator(_entries)] = Field(
        default=1000,
        description="The most repositories of one page; 0 or less: 1000.",
    )


class Tags(Section):
    """``tags``: lists of tags."""

    maxtags: Annotated[int, AfterValidator(_tags)] = Field(
        default=1000,
        description="The most tags of one page; 0: 1000.",
    )


class RepositoryPolicy(Section):
    """``policy.repository``."""

    classes: list[str] = Field(
        default_factory=list,
        description=(
            "The classes of manifests that may be pushed: `image`, `plugin`. "
            "Empty: any."
        ),
    )


class Policy(Section):
    """``policy``: what a repository may hold."""

    repository: RepositoryPolicy = Field(
        default_factory=RepositoryPolicy,
        description="Repositories.",
    )


class Uploads(Section):
    """``uploads``: how content may be pushed."""

    chunkminlength: int | None = Field(
        default=None,
        ge=1,
        description=(
            "The `OCI-Chunk-Min-Length` in bytes that clients are told; unset: none."
        ),
    )
    mountsearch: int = Field(
        default=1000,
        ge=0,
        description=(
            "How many repositories are looked through for a mount without `from`; "
            "0: it is never tried."
        ),
    )


class Referrers(Section):
    """``referrers``: lists of referrers."""

    maxentries: int = Field(
        default=1000,
        ge=1,
        description="The most referrers of one page.",
    )


class Plugins(Section):
    """``plugins``: which of the installed plugins are loaded."""

    disabled: list[str] = Field(
        default_factory=list,
        description="Installed plugins that are not loaded, by name.",
    )
