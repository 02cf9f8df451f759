"""Tokens of our own: issued by the endpoint, verified at each request."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from flask import Blueprint
from flaskreg_token.endpoint import Admits
from flaskreg_token.endpoint import Authenticate
from flaskreg_token.endpoint import make_token_blueprint
from flaskreg_token.issuer import TokenIssuer
from flaskreg_token.keys import KeyRing
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier

from flaskreg.access import Access
from flaskreg.lru import LRU
from flaskreg_policy.identity import Identity
from flaskreg_policy.identity import WrongCredentials
from flaskreg_policy.subject import decode_subject
from flaskreg_policy.subject import encode_subject


_REMEMBERED = 1024


class Tokens:
    """The keys of tokens, and what is signed and verified with them.

    :param folder: of the keys; they are made when first needed.
    :param issuer: the name of whoever issues tokens.
    :param service: their audience.
    :param lifetime: in seconds.
    """

    def __init__(self, folder: str, issuer: str, service: str, lifetime: float) -> None:
        keys = self._keys = KeyRing(folder)
        self._service = service
        self._identities: LRU[str, Identity] = LRU(_REMEMBERED)
        self._issuer = TokenIssuer(keys, issuer, service, int(lifetime))
        self._verifier = TokenVerifier(keys, issuer, service)

    def issue(self, identity: Identity, accesses: Sequence[Access]) -> str:
        """Return a token for somebody."""
        return self._issuer.issue(encode_subject(identity), list(accesses)).token

    def keys(self) -> object:
        """Return the keys that verify tokens: the same object while nothing changes."""
        return self._keys.trusted()

    def verify(self, token: str) -> tuple[Identity, tuple[Access, ...], float]:
        """Return whom a token was issued to, for what, and until when.

        :raises WrongCredentials: it is not ours, or its time is over.
        """
        try:
            claims = self._verifier.verify(token)
        except TokenRefused as error:
            raise WrongCredentials(str(error)) from None
        subject = claims.subject
        identity = self._identities.get(subject)
        if identity is None:
            identity = decode_subject(subject)
            self._identities.set(subject, identity)
        return identity, tuple(claims.accesses), claims.expires

    def blueprint(
        self,
        authenticate: Authenticate,
        allowed: Callable[[str, Sequence[Access]], list[Access]],
        admits: Admits,
    ) -> Blueprint:
        """Return the token endpoint.

        :param authenticate: returns the subject of who logs in, ``""`` for nobody, or
            ``None`` when the credentials are wrong.
        :param allowed: narrows accesses to what a subject may do.
        :param admits: whether a subject could still log in.
        """

        def may(subject: str, access: Access) -> bool:
            return bool(allowed(subject, [access]))

        return make_token_blueprint(
            self._issuer, authenticate, may, self._service, admits
        )
