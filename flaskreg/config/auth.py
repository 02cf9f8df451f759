"""The ``auth`` section."""

from __future__ import annotations

from typing import Annotated
from typing import ClassVar

from pydantic import AfterValidator
from pydantic import Field

from flaskreg.config.section import Choice


def _none(name: str) -> str:
    return "none" if name.lower() == "none" else name


class Auth(Choice):
    """``auth``: one access controller with its parameters."""

    selector: ClassVar[str] = "controller"
    ambiguous: ClassVar[str] = "must provide exactly one type. Provided:"

    controller: Annotated[str, AfterValidator(_none)] = Field(
        default="none",
        description="The access controller by name; `none`: everyone may do all.",
    )
