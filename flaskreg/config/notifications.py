"""The ``notifications`` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic import Field

from flaskreg.config.headers import Headers
from flaskreg.config.section import GoName
from flaskreg.config.section import Seconds
from flaskreg.config.section import Section


def _a_second(value: float) -> float:
    return value if value > 0 else 1.0


def _ten(value: int) -> int:
    return value if value > 0 else 10


class Events(Section):
    """``notifications.events``."""

    includereferences: bool = Field(
        default=False,
        description="Whether an event lists what its manifest references.",
    )


class Ignore(Section):
    """``notifications.endpoints[].ignore``."""

    mediatypes: list[str] = Field(
        default_factory=list,
        description="Media types of targets that are not told.",
    )
    actions: list[str] = Field(
        default_factory=list,
        description="Actions that are not told: `pull`, `push`, `mount`, `delete`.",
    )


class Endpoint(Section):
    """``notifications.endpoints[]``."""

    name: str = Field(default="", description="A name for logs and metrics.")
    disabled: bool = Field(default=False, description="Whether nothing is sent.")
    url: str = Field(default="", description="The URL that events are posted to.")
    headers: Headers = Field(
        default_factory=dict,
        repr=False,
        description="Headers that are sent along.",
    )
    timeout: Annotated[Seconds, AfterValidator(_a_second)] = Field(
        default=1.0,
        description="How long one attempt may take; 0 or less: a second.",
    )
    threshold: Annotated[int, AfterValidator(_ten)] = Field(
        default=10,
        description="Failures in a row before backing off; 0 or less: 10.",
    )
    backoff: Annotated[Seconds, AfterValidator(_a_second)] = Field(
        default=1.0,
        description="The wait after too many failures; 0 or less: a second.",
    )
    ignoredmediatypes: list[str] = Field(
        default_factory=list,
        description="The old name of `ignore.mediatypes`; both are heeded.",
    )
    ignore: Ignore = Field(default_factory=Ignore, description="What is not told.")


class Notifications(Section):
    """``notifications``: who is told what happened."""

    events: Annotated[Events, GoName("EVENTCONFIG")] = Field(
        default_factory=Events,
        description="The form of events.",
    )
    endpoints: list[Endpoint] = Field(
        default_factory=list,
        description="Who is told.",
    )
