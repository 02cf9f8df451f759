"""The ``validation`` section."""

from __future__ import annotations

import re
from typing import Annotated
from typing import Literal

from pydantic import AfterValidator
from pydantic import Field

from flaskreg.config.section import LOWERED
from flaskreg.config.section import Section


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Urls(Section):
    """``validation.manifests.urls``."""

    allow: list[Pattern] = Field(
        default_factory=list,
        description="Regular expressions; a URL must match one when there are any.",
    )
    deny: list[Pattern] = Field(
        default_factory=list,
        description="Regular expressions that a URL must not match.",
    )


class Platform(Section):
    """``validation.manifests.indexes.platformlist[]``."""

    architecture: str = Field(default="", description="The architecture.")
    os: str = Field(default="", description="The operating system.")


class Indexes(Section):
    """``validation.manifests.indexes``."""

    platforms: Annotated[Literal["all", "none", "list"], LOWERED] = Field(
        default="all",
        description=(
            "Which manifests of an index must be present: `all`, `none`, or those "
            "on the platforms of the `list`."
        ),
    )
    platformlist: list[Platform] = Field(
        default_factory=list,
        description="The platforms that must be present.",
    )


class Manifests(Section):
    """``validation.manifests``."""

    urls: Urls = Field(
        default_factory=Urls,
        description="URLs of foreign layers; with neither list any is allowed.",
    )
    indexes: Indexes = Field(default_factory=Indexes, description="Indexes.")


class Validation(Section):
    """``validation``: what a manifest must fulfil to be accepted."""

    enabled: bool | None = Field(
        default=None,
        description="Old; true wins over `validation.disabled`.",
    )
    disabled: bool = Field(
        default=False,
        description="Whether URLs and the children of indexes are not checked.",
    )
    manifests: Manifests = Field(
        default_factory=Manifests,
        description="What is checked.",
    )

    @property
    def active(self) -> bool:
        """Whether manifests are validated: enabled, or not disabled."""
        return bool(self.enabled) or not self.disabled
