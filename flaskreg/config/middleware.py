"""The ``middleware`` section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from flaskreg.config.section import Section


class Middleware(Section):
    """One entry of a list of ``middleware``."""

    name: str = Field(description="The middleware by name.")
    disabled: bool = Field(default=False, description="Whether the entry is off.")
    options: Mapping[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="The parameters of the middleware.",
    )


class Middlewares(Section):
    """``middleware``: what is wrapped around the services, in order."""

    registry: list[Middleware] = Field(
        default_factory=list,
        description="Around the registry.",
    )
    repository: list[Middleware] = Field(
        default_factory=list,
        description="Around each repository.",
    )
    storage: list[Middleware] = Field(
        default_factory=list,
        description="Around the storage driver.",
    )
