"""Maps of HTTP headers, as they stand in the settings."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic import BeforeValidator


_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _sendable(headers: dict[str, list[str]]) -> dict[str, list[str]]:
    for name, values in headers.items():
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no header name")
        if not all(_VALUE.fullmatch(value) for value in values):
            raise ValueError(f"header {name} must be one line of Latin-1 text")
    return headers


Headers = Annotated[
    dict[str, Annotated[list[str], BeforeValidator(_listed)]],
    AfterValidator(_sendable),
]
"""Header name to its values; one value may stand alone."""
