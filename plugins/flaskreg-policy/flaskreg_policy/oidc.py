"""Identities from the ID tokens of OpenID Connect issuers: log-in providers and CIs.

Source: OpenID Connect Core 1.0, 3.1.3.7.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Annotated
from typing import Any
from typing import Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from pydantic import AfterValidator
from pydantic import BeforeValidator
from pydantic import Field

from flaskreg.config.section import Section
from flaskreg.lru import LRU
from flaskreg_policy.document import parse_user
from flaskreg_policy.identity import Identity
from flaskreg_policy.identity import WrongCredentials
from flaskreg_policy.jwks import IssuerKeys
from flaskreg_policy.jwks import is_safe
from flaskreg_policy.peek import Peeked


Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
]  # fmt: skip

#: how far the clock of an issuer may be off, in seconds.
LEEWAY = 60

_REMEMBERED = 2048
_LATEST = 1 << 40
_KTY = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _safe(url: str) -> str:
    if not is_safe(url):
        raise ValueError("must be an https URL (http is good for loopback alone)")
    return url


class IssuerSettings(Section):
    """``auth.policy.oidc[]``."""

    issuer: Annotated[str, AfterValidator(_safe)] = Field(
        description="The URL of the issuer, exactly as its tokens have it.",
    )
    audience: Annotated[list[str], BeforeValidator(_listed)] = Field(
        min_length=1,
        description="Who the tokens are for; one of these has to be named.",
    )
    user: str = Field(default="sub", description="The claim that names the user.")
    groups: str = Field(
        default="",
        description="The claim that names groups; unset: none.",
    )
    prefix: str = Field(
        default="oidc:",
        description="What stands before the names of users and groups; `-`: nothing.",
    )
    require: dict[str, Annotated[list[str], BeforeValidator(_listed)]] = Field(
        default_factory=dict,
        description="Claims that must have one of the values listed.",
    )
    algorithms: Annotated[list[Algorithm], BeforeValidator(_listed)] = Field(
        default=["RS256", "ES256"],
        min_length=1,
        description="The signatures that are accepted.",
    )


class OidcIssuer:
    """One issuer whose tokens are identities.

    :param settings: of the issuer.
    """

    def __init__(self, settings: IssuerSettings) -> None:
        self.issuer = settings.issuer
        self._settings = settings
        self._prefix = "" if settings.prefix == "-" else settings.prefix
        self._keys = IssuerKeys(settings.issuer)
        self._known: LRU[bytes, tuple[Identity, float]] = LRU(_REMEMBERED)

    def identify(self, token: str, peeked: Peeked) -> Identity:
        """Return whose token it is.

        :param token: a JSON Web Token.
        :param peeked: what it says, unverified.
        :raises WrongCredentials: it is wrong, or its time is over.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None:
            claims = self._verified(token, peeked)
            self._check(claims)
            known = self._identity(claims), float(claims["exp"])
            self._known.set(digest, known)
        if known[1] + LEEWAY <= time.time():
            raise WrongCredentials("the token has expired")
        return known[0]

    def _verified(self, token: str, peeked: Peeked) -> Mapping[str, Any]:
        algorithm = peeked.algorithm
        if algorithm not in self._settings.algorithms:
            raise WrongCredentials(f"algorithm {algorithm!r:.40} is not accepted")
        usable = [key for key in self._keys.find(peeked.kid) if _fits(key, algorithm)]
        registry = JWSRegistry(strict_check_header=False)
        for key in usable:
            try:
                return jwt.decode(
                    token, KeySet([key]), algorithms=[algorithm], registry=registry
                ).claims
            except (JoseError, ValueError, TypeError) as error:
                reason = f"the signature is wrong ({type(error).__name__})"
        raise WrongCredentials(reason if usable else "the key is of another kind")

    def _check(self, claims: Mapping[str, Any]) -> None:
        """Check who a token is from, for whom, and when.

        :raises WrongCredentials: it is not for us, or not for now.
        """
        now = time.time()
        if claims.get("iss") != self.issuer:
            raise WrongCredentials("the token is from another issuer")
        if not set(_texts(claims.get("aud"))) & set(self._settings.audience):
            raise WrongCredentials("the token is for another audience")
        if _number(claims, "exp", None) + LEEWAY <= now:
            raise WrongCredentials("the token has expired")
        for claim in ("nbf", "iat"):
            if _number(claims, claim, now) - LEEWAY > now:
                raise WrongCredentials(f"the token is not good before its {claim}")
        for claim, wanted in self._settings.require.items():
            if not set(_texts(claims.get(claim))) & set(wanted):
                raise WrongCredentials(f"claim {claim} is not what is required")

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        name = claims.get(self._settings.user)
        if not isinstance(name, str) or not name:
            raise WrongCredentials(f"the token has no claim {self._settings.user}")
        if self._settings.user == "email" and claims.get("email_verified") is False:
            raise WrongCredentials("the e-mail address is not verified")
        groups = _texts(claims.get(self._settings.groups))
        try:
            user = parse_user(self._prefix + name)
        except ValueError as error:
            raise WrongCredentials(str(error)) from None
        return Identity(
            user, frozenset(self._prefix + group for group in groups), "oidc"
        )


def _fits(key: Key, algorithm: str) -> bool:
    """Whether a key is one for an algorithm, and is not kept for another one."""
    stated = key.get("alg")
    return key.key_type == _KTY[algorithm[:2]] and stated in (None, algorithm)


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, str)]


def _number(claims: Mapping[str, Any], claim: str, default: float | None) -> float:
    value = claims.get(claim, default)
    # Also not infinity, not NaN, and nothing that is too large for a time.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongCredentials(f"the token has no {claim}")
    if not 0 <= value < _LATEST:
        raise WrongCredentials(f"{claim} of the token is no time")
    return float(value)
