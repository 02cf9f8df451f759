"""Issues the tokens that grant access, and those that renew them.

Source: docker's token authentication specification; RFC 7519.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any

from joserfc import jwt

from flaskreg.access import Access
from flaskreg_token.algorithms import ALGORITHMS
from flaskreg_token.algorithms import Registry
from flaskreg_token.claims import read_claims
from flaskreg_token.compact import parse_compact
from flaskreg_token.keys import KeyRing
from flaskreg_token.refused import TokenRefused
from flaskreg_token.verifier import check_signature
from flaskreg_token.verifier import check_type


#: clients take no token that is good for less.
SHORTEST = 60

#: how long a refresh token is good for, in seconds: 30 days.
REFRESH_SECONDS = 30 * 24 * 3600

_REFRESH_TYPE = "refresh+jwt"


@dataclass(frozen=True)
class IssuedToken:
    """A token that grants access, and what a client is told about it.

    :param expires_in: in seconds.
    :param issued_at: as RFC 3339 writes a time.
    """

    token: str = field(repr=False)
    expires_in: int
    issued_at: str

    def __str__(self) -> str:
        """Return the token itself."""
        return self.token


class TokenIssuer:
    """Issues tokens for one service.

    :param keyring: whose newest key signs.
    :param issuer: our name in them.
    :param service: for whom they are.
    :param lifetime_seconds: of a token: longer than a long push.
    :param refresh_seconds: of a refresh token.
    :param clock: for tests.
    """

    def __init__(
        self,
        keyring: KeyRing,
        issuer: str,
        service: str,
        lifetime_seconds: int = 3600,
        refresh_seconds: int = REFRESH_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if lifetime_seconds < SHORTEST:
            raise ValueError(f"a token has to be good for {SHORTEST} seconds")
        self.keyring = keyring
        self._issuer = issuer
        self._service = service
        self._lifetime = lifetime_seconds
        self._refresh = refresh_seconds
        self._clock = clock

    def issue(self, subject: str, accesses: Sequence[Access]) -> IssuedToken:
        """Return a token of *subject* for exactly *accesses*.

        :raises Unavailable: there is no key to sign it with.
        """
        now = int(self._clock())
        claims = self._claims(subject, self._service, now, self._lifetime)
        claims["access"] = _grouped(accesses)
        issued_at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return IssuedToken(self._sign(claims, "JWT"), self._lifetime, issued_at)

    def issue_refresh(self, subject: str) -> str:
        """Return a token by which *subject* gets others, and which grants nothing.

        :raises Unavailable: there is no key to sign it with.
        """
        now = int(self._clock())
        claims = self._claims(subject, self._audience(), now, self._refresh)
        return self._sign(claims, _REFRESH_TYPE)

    def read_refresh(self, token: str) -> str:
        """Return the subject of a refresh token.

        :raises TokenRefused: it is none of ours, or its time is over.
        """
        compact = parse_compact(token)
        try:
            check_type(compact, {_REFRESH_TYPE}, required=True)
            check_signature(compact, self.keyring.trusted(anew=True), ALGORITHMS)
            claims = read_claims(
                compact.claims, self._issuer, self._audience(), self._clock()
            )
        except TokenRefused as error:
            raise TokenRefused(error.reason, compact.facts()) from None
        return claims.subject

    def _audience(self) -> str:
        # Another one than that of access tokens: not every verifier looks at types.
        return f"refresh:{self._service}"

    def _claims(
        self, subject: str, audience: str, now: int, seconds: int
    ) -> dict[str, Any]:
        return {
            "iss": self._issuer,
            "sub": subject,
            "aud": audience,
            "exp": now + seconds,
            "nbf": now,
            "iat": now,
            "jti": secrets.token_urlsafe(16),
        }

    def _sign(self, claims: Mapping[str, Any], kind: str) -> str:
        signing = self.keyring.signing_key()
        header = {"typ": kind, "alg": signing.algorithm, "kid": signing.kid}
        registry = Registry(signing.algorithm)
        return jwt.encode(header, dict(claims), signing.key, registry=registry)


def _grouped(accesses: Sequence[Access]) -> list[dict[str, Any]]:
    """Return accesses as the claim ``access``: actions by type and name."""
    actions: dict[tuple[str, str], list[str]] = {}
    for access in dict.fromkeys(accesses):
        actions.setdefault((access.type, access.name), []).append(access.action)
    return [
        {"type": kind, "name": name, "actions": wanted}
        for (kind, name), wanted in actions.items()
    ]
