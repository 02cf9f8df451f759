"""Who sends a request: every way to prove it, tried by what the proof looks like."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from flaskreg_htpasswd.passwords import PasswordFile

from flaskreg.access import Access
from flaskreg.access import peer_of
from flaskreg.lru import LRU
from flaskreg_policy.apikeys import PREFIX
from flaskreg_policy.apikeystore import ApiKeyStore
from flaskreg_policy.certificates import CertificateReader
from flaskreg_policy.identity import ANONYMOUS
from flaskreg_policy.identity import Identity
from flaskreg_policy.identity import IdentitySource
from flaskreg_policy.identity import WrongCredentials
from flaskreg_policy.oidc import OidcIssuer
from flaskreg_policy.peek import Peeked
from flaskreg_policy.peek import facts_of
from flaskreg_policy.peek import peek
from flaskreg_policy.tokens import Tokens


_REMEMBERED = 1024


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and by which scheme.

    :param scheme: ``basic``, ``bearer``, ``certificate`` or ``""``.
    :param token: the accesses of a token of our own; ``None`` for all other proofs.
    :param bearer: the token, or ``""``.
    :param expires: until when the grant of a token may be remembered, in seconds since
        1970; 0 for not at all.
    """

    identity: Identity
    scheme: str = ""
    token: tuple[Access, ...] | None = None
    bearer: str = field(default="", repr=False)
    expires: float = 0.0

    def facts(self) -> str:
        """Return what a log may say of the token, or ``""``."""
        return facts_of(self.bearer)


class Refused(WrongCredentials):
    """Wrong credentials, with the scheme that they came by.

    :param facts: what a log may say of them, when they are a token.
    """

    def __init__(self, reason: str, scheme: str, facts: str = "") -> None:
        super().__init__(reason)
        self.scheme = scheme
        self.facts = facts


class Authenticator:
    """All ways to prove an identity that are configured.

    :param passwords: the password file, or ``None``; likewise the others.
    """

    def __init__(
        self,
        tokens: Tokens,
        passwords: PasswordFile | None,
        apikeys: ApiKeyStore | None,
        issuers: Sequence[OidcIssuer],
        certificates: CertificateReader | None,
        sources: Sequence[IdentitySource],
    ) -> None:
        self._tokens = tokens
        self._passwords = passwords
        self._apikeys = apikeys
        self._issuers = {each.issuer: each for each in issuers}
        self._certificates = certificates
        self._sources = {each.name: each for each in sources}
        self._peeked: LRU[str, Peeked] = LRU(_REMEMBERED)

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return who sent *headers*.

        The ``Authorization`` header goes before a certificate.

        :raises Refused: there are credentials, and they are wrong.
        """
        given = headers.get("Authorization")
        if given is None:
            identity = self._by_certificate(headers)
            return Caller(identity, "" if identity.anonymous else "certificate")
        scheme, _, value = given.partition(" ")
        scheme, value = scheme.lower(), value.strip()
        try:
            if scheme == "basic":
                user, password = _parse_basic(value)
                return Caller(self.log_in(headers, user, password), scheme)
            if scheme == "bearer":
                return self._by_bearer(value)
        except WrongCredentials as error:
            facts = facts_of(value) if scheme == "bearer" else ""
            raise Refused(error.reason, scheme, facts) from None
        raise Refused("the scheme is neither Basic nor Bearer", "other")

    def log_in(self, headers: Mapping[str, str], user: str, password: str) -> Identity:
        """Return who has a user name and a password, or what stands for one.

        What looks like an API key or a token is never shown to anybody who checks
        passwords. For a token the user name is not looked at: the token has its own.

        :raises WrongCredentials: they are wrong.
        """
        if password.startswith(PREFIX) and self._apikeys is not None:
            identity = self._apikeys.identify(password)
            if identity.name != user:
                raise WrongCredentials(f"API key {identity.key} is of another user")
            return identity
        if self._issuers:
            peeked = peek(password)
            if peeked is not None:
                return self._by_id_token(password, peeked)
        if not user or not password:
            raise WrongCredentials("no user name or no password")
        return self._by_password(user, password, peer_of(headers).address)

    def current(self, identity: Identity) -> Identity:
        """Return somebody as of now, who proved their identity some time ago.

        :raises WrongCredentials: they could not do so now.
        """
        if identity.via == "apikey":
            if self._apikeys is None:
                raise WrongCredentials("there are no API keys any more")
            found = self._apikeys.identify_id(identity.key)
            if found.name != identity.name:
                raise WrongCredentials("the API key is of another user")
            return found
        if identity.via == "password":
            if self._passwords is None or not self._passwords.knows(identity.name):
                raise WrongCredentials("the user is in the password file no more")
            return identity
        source = self._sources.get(identity.via)
        groups = source.groups_of(identity.name) if source else None
        if groups is None:
            return identity
        return Identity(identity.name, groups, identity.via)

    def by_certificate(self, headers: Mapping[str, str]) -> Identity:
        """Return whose certificate the connection has; nobody without one."""
        return self._by_certificate(headers)

    def _by_certificate(self, headers: Mapping[str, str]) -> Identity:
        if self._certificates is None:
            return ANONYMOUS
        return self._certificates.identify(peer_of(headers).certificate) or ANONYMOUS

    def _peek(self, token: str) -> Peeked | None:
        said = self._peeked.get(token)
        if said is None:
            said = peek(token)
            if said is not None:
                self._peeked.set(token, said)
        return said

    def _by_bearer(self, value: str) -> Caller:
        if value.startswith(PREFIX) and self._apikeys is not None:
            return Caller(self._apikeys.identify(value), "bearer")
        if self._issuers:
            said = self._peek(value)
            if said is not None and said.issuer in self._issuers:
                identity = self._by_id_token(value, said)
                return Caller(identity, "bearer", bearer=value)
        identity, accesses, expires = self._tokens.verify(value)
        # An API key ends by itself, and a directory changes without telling.
        if identity.via == "apikey" or identity.via in self._sources:
            expires = 0.0
        return Caller(self.current(identity), "bearer", accesses, value, expires)

    def state(self) -> tuple[object, ...]:
        """Return what tokens depend on: the same objects while nothing changes."""
        users = self._passwords.file.get() if self._passwords is not None else None
        return (self._tokens.keys(), users)

    def _by_id_token(self, token: str, peeked: Peeked) -> Identity:
        issuer = self._issuers.get(peeked.issuer)
        if issuer is None:
            raise WrongCredentials("the issuer of the token is not trusted")
        return issuer.identify(token, peeked)

    def _by_password(self, user: str, password: str, address: str) -> Identity:
        if self._passwords is not None and self._passwords.verify(
            user, password, address
        ):
            return Identity(user, via="password")
        for source in self._sources.values():
            identity = source.authenticate(user, password, address)
            if identity is not None:
                return identity
        raise WrongCredentials("the user name or the password is wrong")


def _parse_basic(value: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        raise WrongCredentials("the Basic credentials are malformed") from None
    user, colon, password = decoded.partition(":")
    if not colon or not decoded.isprintable():
        raise WrongCredentials("the Basic credentials are malformed")
    return user, password
