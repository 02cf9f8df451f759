"""A token taken apart: strictly, and before anybody believes it.

Source: RFC 7515, 7.1; RFC 7519.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flaskreg_token.refused import TokenRefused


#: the longest token that is looked at; servers take no longer headers.
LONGEST = 32 << 10

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

#: what a log may say of a token.
_TOLD = ("iss", "aud", "exp")


@dataclass(frozen=True)
class Compact:
    """What a token says, unverified.

    :param text: the token itself.
    """

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def algorithm(self) -> str:
        """Return the algorithm that it names; ``""`` for none."""
        value = self.header.get("alg")
        return value if isinstance(value, str) else ""

    def facts(self) -> str:
        """Return who made it, for whom and until when, for the log."""
        told = {"kid": self.header.get("kid")}
        told.update((name, self.claims.get(name)) for name in _TOLD)
        return " ".join(f"{name}={value!r:.120}" for name, value in told.items())


def parse_compact(token: str) -> Compact:
    """Return a token, taken apart.

    :raises TokenRefused: it is too long, or is not three parts of base64url of which
        two are JSON objects without duplicate members.
    """
    if len(token) > LONGEST:
        raise TokenRefused("it is too long")
    if not _COMPACT.fullmatch(token):
        raise TokenRefused("it is not a signed token")
    header, claims, _ = token.split(".")
    return Compact(token, _decoded(header, "header"), _decoded(claims, "payload"))


def _decoded(part: str, name: str) -> Mapping[str, Any]:
    try:
        text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise TokenRefused(f"its {name} is not JSON, or has a member twice") from None
    if not isinstance(value, dict):
        raise TokenRefused(f"its {name} is not an object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member comes twice")
    return made


def _refuse(constant: str) -> None:
    raise ValueError(constant)
