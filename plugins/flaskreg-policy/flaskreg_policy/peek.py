"""What a JSON Web Token says, before anybody believes it."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any


_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_LONGEST = 64 * 1024


@dataclass(frozen=True)
class Peeked:
    """The header and the claims of a token, unverified."""

    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def algorithm(self) -> str:
        """Return the algorithm that it names; ``""`` for none."""
        value = self.header.get("alg")
        return value if isinstance(value, str) else ""

    @property
    def kid(self) -> str | None:
        """Return the id of the key that it names."""
        value = self.header.get("kid")
        return value if isinstance(value, str) else None

    @property
    def issuer(self) -> str:
        """Return the issuer that it names; ``""`` for none."""
        value = self.claims.get("iss")
        return value if isinstance(value, str) else ""

    def facts(self) -> str:
        """Return what a log may say of it: who made it, for whom, until when."""
        claims = self.claims
        shown = {"kid": self.kid, **{name: claims.get(name) for name in _SHOWN}}
        return " ".join(f"{name}={value!r:.120}" for name, value in shown.items())


_SHOWN = ("iss", "aud", "exp", "sub")


def peek(token: str) -> Peeked | None:
    """Return what *token* says, or ``None`` when it is no JSON Web Token."""
    if len(token) > _LONGEST or not _COMPACT.fullmatch(token):
        return None
    header, claims, _ = (_decoded(part) for part in token.split("."))
    if header is None or claims is None:
        return None
    return Peeked(header, claims)


def facts_of(token: str) -> str:
    """Return what a log may say of a token; ``""`` when it is none."""
    said = peek(token)
    return said.facts() if said else ""


def _decoded(part: str) -> dict[str, Any] | None:
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        value = json.loads(decoded)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
