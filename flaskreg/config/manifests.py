"""The ``manifests`` section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any

from pydantic import BeforeValidator
from pydantic import Field

from flaskreg.config.section import Section
from flaskreg.config.section import Untyped


_SENTENCE = "must be the name of a manifest option, or one name with its parameters"


class Option(Section):
    """One entry of ``manifests.options``: a manifest option and its parameters."""

    name: str = Field(description="The manifest option by name.")
    parameters: Mapping[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="The parameters of the option.",
    )

    def as_written(self) -> str | dict[str, Any]:
        """Return the entry as it stands in a file."""
        return {self.name: dict(self.parameters)} if self.parameters else self.name


def _entry(value: object) -> object:
    if isinstance(value, Option):
        return value
    if isinstance(value, str) and value:
        return Option(name=value)
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, parameters),) = value.items()
        if parameters is None or isinstance(parameters, Mapping):
            return Option(name=name, parameters=parameters or {})
    raise ValueError(_SENTENCE)


Entry = Annotated[Option, Untyped(), BeforeValidator(_entry)]


class ManifestSettings(Section):
    """``manifests``: which manifests are accepted."""

    maxbytes: int = Field(
        default=4194304,
        ge=1,
        description="The most bytes of one manifest; more are refused with 413.",
    )
    options: list[Entry] | None = Field(
        default=None,
        description=(
            "The checks and effects of a push, in order: each a name, or one name "
            "with its parameters. Unset: the standard order."
        ),
    )
