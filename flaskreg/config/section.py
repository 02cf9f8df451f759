"""What every section of the settings is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from typing import Any
from typing import ClassVar

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import model_validator

from flaskreg.config.durations import parse_duration


@dataclass(frozen=True)
class GoName:
    """Marks a key that distribution's environment variables call otherwise."""

    name: str


@dataclass(frozen=True)
class Duration:
    """Marks seconds that are written as a Go duration string.

    :param bare: whether a bare integer is a count of nanoseconds, or an error.
    """

    bare: bool


@dataclass(frozen=True)
class Untyped:
    """Marks a value whose own validator reads it, whatever its shape."""


class Section(BaseModel):
    """One section of the settings: immutable, and closed to unknown keys.

    A key that is null or empty text keeps its default, as in distribution.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    inlined: ClassVar[str] = ""
    """A segment of environment variables that stands for this very section."""

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if not _empty(value)}


class Choice(Section):
    """A section in which one free key names an implementation.

    The value of the free key are the parameters of what it names; they are read by
    the implementation itself.
    """

    selector: ClassVar[str]
    """The field that holds the name."""

    ambiguous: ClassVar[str]
    """The sentence for more than one free key."""

    parameters: Mapping[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="The parameters of the implementation that was chosen.",
    )


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and value == "")


def _seconds(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Seconds = Annotated[float, Duration(bare=True), BeforeValidator(_seconds)]
"""Seconds; in the file a Go duration or a bare integer of nanoseconds."""

WrittenSeconds = Annotated[float, Duration(bare=False), BeforeValidator(_seconds)]
"""Seconds; in the file a Go duration, never a bare integer."""


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


LOWERED = BeforeValidator(_lowered)
"""Lower-cases text before it is compared with what is allowed."""
