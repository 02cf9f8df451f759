"""The ``notifications`` section."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr

from flaskreg.config.headers import Headers
from flaskreg.config.section import LOWERED
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


class Outbox(Section):
    """``notifications.outbox``."""

    path: str = Field(
        default="",
        description=(
            "The folder on a local disk where events wait; unset: `flaskreg/outbox` "
            "in the root directory of the filesystem driver."
        ),
    )
    maxage: Annotated[Seconds, Field(gt=0)] = Field(
        default=604800.0,
        description="How long an event is tried before it is a dead letter.",
    )
    maxevents: int = Field(
        default=1_000_000,
        ge=1,
        description=(
            "Events that wait for one endpoint; the oldest of more are dead letters, "
            "of which as many are kept."
        ),
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
    format: Annotated[Literal["distribution", "cloudevents"], LOWERED] = Field(
        default="distribution",
        description=(
            "The form of events: `distribution`, its envelope, or `cloudevents`, "
            "structured JSON of version 1.0."
        ),
    )
    secret: SecretStr | None = Field(
        default=None,
        description=(
            "The key of a signature that is sent along, as Standard Webhooks has it; "
            "unset: none."
        ),
    )


class Notifications(Section):
    """``notifications``: who is told what happened."""

    events: Annotated[Events, GoName("EVENTCONFIG")] = Field(
        default_factory=Events,
        description="The form of events.",
    )
    outbox: Outbox = Field(
        default_factory=Outbox,
        description="Where events wait until they are sent.",
    )
    endpoints: list[Endpoint] = Field(
        default_factory=list,
        description="Who is told.",
    )
