"""The ``log`` section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import Field
from pydantic import SecretStr
from pydantic import field_validator

from flaskreg.config.section import LOWERED
from flaskreg.config.section import GoName
from flaskreg.config.section import Section


class AccessLog(Section):
    """``log.accesslog``."""

    disabled: bool = Field(
        default=False,
        description="Whether requests are not logged to standard output.",
    )
    formatter: Annotated[Literal["combined", "json"], LOWERED] = Field(
        default="combined",
        description=(
            "The form of a line: `combined`, as Apache has it, or `json`, with the "
            "repository, digest, user and more."
        ),
    )


class Audit(Section):
    """``log.audit``."""

    path: str = Field(
        default="",
        description=(
            "The file that says who changed what, and who was refused; `-` is "
            "standard output. Unset: none."
        ),
    )
    pulls: bool = Field(default=False, description="Whether pulls are told too.")


LEVELS = ("panic", "fatal", "error", "warn", "warning", "info", "debug", "trace")
"""The levels that a hook may name, as logrus has them."""


class Smtp(Section):
    """``log.hooks[].options.smtp``."""

    addr: str = Field(default="", description="`host:port` of the mail server.")
    username: str = Field(default="", description="The user name; unset: no login.")
    password: SecretStr | None = Field(default=None, description="The password.")
    insecure: bool = Field(
        default=False,
        description="Whether the server's certificate is not verified.",
    )


class MailOptions(Section):
    """``log.hooks[].options``."""

    smtp: Smtp = Field(default_factory=Smtp, description="The mail server.")
    from_: str = Field(default="", alias="from", description="The sender.")
    to: list[str] = Field(default_factory=list, description="The recipients.")


class Hook(Section):
    """``log.hooks[]``."""

    disabled: bool = Field(default=False, description="Whether the hook is off.")
    type: str = Field(default="", description="The kind of hook: `mail`.")
    levels: list[str] = Field(
        default_factory=list,
        description="The levels that fire the hook, such as `error` and `panic`.",
    )
    options: Annotated[MailOptions, GoName("MAILOPTIONS")] = Field(
        default_factory=MailOptions,
        description="The options of a mail hook.",
    )

    @field_validator("levels")
    @classmethod
    def _named(cls, value: list[str]) -> list[str]:
        lowered = [level.lower() for level in value]
        for level in lowered:
            if level not in LEVELS:
                raise ValueError(f"{level} is none of {', '.join(LEVELS)}")
        return lowered


class Log(Section):
    """``log``: what is written, in which form."""

    level: Annotated[Literal["error", "warn", "info", "debug"], LOWERED] = Field(
        default="info",
        description="The lowest level that is written: `error warn info debug`.",
    )
    formatter: str = Field(
        default="text",
        description="The form of a line: `text`, `json` or `logstash`.",
    )
    fields: Mapping[str, Any] = Field(
        default_factory=dict,
        description="Fields that are added to every line.",
    )
    reportcaller: bool = Field(
        default=False,
        description="Whether the function and file are added to every line.",
    )
    accesslog: AccessLog = Field(
        default_factory=AccessLog,
        description="The access log.",
    )
    audit: Audit = Field(default_factory=Audit, description="The audit log.")
    hooks: list[Hook] = Field(
        default_factory=list,
        description="What else happens when a line is written.",
    )

    @field_validator("formatter")
    @classmethod
    def _supported(cls, value: str) -> str:
        if value not in ("text", "json", "logstash"):
            raise ValueError(
                "unsupported logging formatter, must be text, json or logstash"
            )
        return value
