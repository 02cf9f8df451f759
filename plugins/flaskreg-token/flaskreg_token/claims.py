"""What a token says once its signature is good: for whom, when, and what it allows.

Source: docker's token authentication specification; CNCF distribution's ``ClaimSet``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from flaskreg.access import Access
from flaskreg_token.refused import TokenRefused


#: how far two clocks may be apart, in seconds.
LEEWAY = 60

_LATEST = 1 << 53


@dataclass(frozen=True, slots=True)
class Claims:
    """Who holds a token, and what for.

    :param subject: ``""`` for nobody in particular.
    :param accesses: what it allows; the action ``*`` is every action.
    :param expires: in seconds since 1970; it is good for a minute more.
    :param facts: who made it, for whom and until when, for the log.
    """

    subject: str
    accesses: tuple[Access, ...]
    expires: float
    facts: str = field(default="", compare=False)

    def allow(self, access: Access) -> bool:
        """Whether the token is for an access: type and name are the very same."""
        return (
            access in self.accesses
            or Access(access.type, access.name, "*") in self.accesses
        )


def read_claims(
    claims: Mapping[str, Any], issuer: str, audience: str, now: float
) -> Claims:
    """Return the claims, checked.

    :param issuer: who has to have made the token.
    :param audience: for whom it has to be.
    :param now: in seconds since 1970.
    :raises TokenRefused: it is from or for somebody else, or for another time.
    """
    if claims.get("iss") != issuer:
        raise TokenRefused("it is from another issuer")
    if audience not in _texts(claims.get("aud")):
        raise TokenRefused("it is for another audience")
    expires = _time(claims, "exp")
    if expires is None:
        raise TokenRefused("it has no exp")
    if expires + LEEWAY < now:
        raise TokenRefused("it has expired")
    for name in ("nbf", "iat"):
        moment = _time(claims, name)
        if moment is not None and moment - LEEWAY > now:
            raise TokenRefused(f"its {name} is still to come")
    subject = claims.get("sub", "")
    if not isinstance(subject, str):
        raise TokenRefused("its sub is not text")
    return Claims(subject, _accesses(claims.get("access")), expires)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, str)]


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"its {name} is not a number")
    if not 0 <= value <= _LATEST:
        raise TokenRefused(f"its {name} is not a time")
    return float(value)


def _accesses(value: object) -> tuple[Access, ...]:
    """Return the accesses of a token; a class is left out, as in distribution."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TokenRefused("its access is not a list")
    found: dict[Access, None] = {}
    for entry in value:
        kind, name, actions = _parts(entry)
        found.update((Access(kind, name, action), None) for action in actions)
    return tuple(found)


def _parts(entry: object) -> tuple[str, str, list[str]]:
    """Return the type, the name and the actions of a member of ``access``."""
    if not isinstance(entry, dict):
        raise TokenRefused("its access has a member that is not an object")
    kind, name, actions = (entry.get(key) for key in ("type", "name", "actions"))
    wanted = _texts(actions)
    if not isinstance(kind, str) or not isinstance(name, str):
        raise TokenRefused("its access has a member without type or name")
    if actions is not None and wanted != actions:
        raise TokenRefused("its access has actions that are not a list of texts")
    return kind, name, wanted
