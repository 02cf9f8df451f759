"""The ``proxy`` section."""

from __future__ import annotations

from pydantic import Field
from pydantic import SecretStr

from flaskreg.config.section import Seconds
from flaskreg.config.section import Section


class Exec(Section):
    """``proxy.exec``."""

    command: str = Field(
        default="",
        description=(
            "A docker credential helper that is asked for user name and password."
        ),
    )
    lifetime: Seconds | None = Field(
        default=None,
        description="How long its answer is kept; unset: for ever, 0: not at all.",
    )


class Proxy(Section):
    """``proxy``: a pull-through cache of another registry."""

    remoteurl: str = Field(
        default="",
        description="The URL of the registry that is cached; unset: none.",
    )
    username: str = Field(default="", description="The user name there.")
    password: SecretStr | None = Field(default=None, description="The password there.")
    exec: Exec = Field(default_factory=Exec, description="A credential helper.")
    ttl: Seconds = Field(
        default=604800.0,
        description="How long content is kept; 0 or less: for ever.",
    )
    cachewritetimeout: Seconds = Field(
        default=300.0,
        description="How long writing one blob to the cache may take.",
    )
