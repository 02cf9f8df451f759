"""Everything that ``auth.policy`` configures, put together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from flask import Blueprint
from flaskreg_htpasswd.passwords import PasswordFile

from flaskreg.access import Access
from flaskreg.config import Settings
from flaskreg_policy.apikeystore import ApiKeyStore
from flaskreg_policy.authentication import Authenticator
from flaskreg_policy.authentication import Caller
from flaskreg_policy.authentication import Refused
from flaskreg_policy.certificates import CertificateReader
from flaskreg_policy.document import make_policy
from flaskreg_policy.document import read_policy
from flaskreg_policy.identity import Identity
from flaskreg_policy.identity import WrongCredentials
from flaskreg_policy.oidc import OidcIssuer
from flaskreg_policy.origin import Challenger
from flaskreg_policy.origin import Origin
from flaskreg_policy.policy import Decision
from flaskreg_policy.policy import Policy
from flaskreg_policy.settings import KEY
from flaskreg_policy.settings import Parameters
from flaskreg_policy.settings import parse_parameters
from flaskreg_policy.subject import decode_subject
from flaskreg_policy.subject import encode_subject
from flaskreg_policy.tokens import Tokens
from flaskreg_policy.watched import WatchedFile


_log = logging.getLogger("flaskreg.policy")

#: the access that listing the repositories needs.
CATALOG = ("registry", "catalog", "*")


class PolicySource:
    """The policy as of now: that of the configuration, or that of a file.

    :raises ConfigError: it is wrong. A file is read once at the start, so that a wrong
        one is told then; later, a bad edit leaves what held before.
    """

    def __init__(self, parameters: Parameters) -> None:
        path = parameters.settings.path
        self._file = WatchedFile(path, lambda it: read_policy(it, path))
        self._fixed = None if path else make_policy(dict(parameters.inline), KEY)
        self.policy()

    def policy(self) -> Policy:
        """Return the policy."""
        return self._fixed if self._fixed is not None else self._file.get()


class PolicyService:
    """Who asks, and what the policy says.

    :param parameters: of ``auth.policy``.
    :param settings: of the application; they tell how clients reach it.
    """

    def __init__(
        self, parameters: Mapping[str, Any], settings: Settings | None = None
    ) -> None:
        parsed = parse_parameters(parameters)
        own = parsed.settings
        self.settings = own
        self._source = PolicySource(parsed)
        self.tokens = Tokens(own.keys, own.issuer, own.service, own.lifetime)
        self.challenger = Challenger(own.realm, own.service, Origin(settings))
        self._authenticator = Authenticator(
            self.tokens,
            PasswordFile(own.htpasswd) if own.htpasswd else None,
            ApiKeyStore(own.apikeys) if own.apikeys else None,
            [OidcIssuer(each) for each in own.oidc],
            CertificateReader(own.mtls) if own.mtls else None,
            parsed.sources,
        )

    @property
    def policy(self) -> Policy:
        """Return the policy as of now."""
        return self._source.policy()

    def state(self, policy: Policy) -> tuple[object, ...]:
        """Return all that the grant of a token depends on."""
        return (policy, *self._authenticator.state())

    def identify(self, headers: Mapping[str, str], policy: Policy) -> Caller:
        """Return who sent *headers*.

        :raises Refused: the credentials are wrong, or not for the policy.
        """
        caller = self._authenticator.identify(headers)
        refused = policy.refusal(caller.identity)
        if refused:
            reason = f"{caller.identity.name}: {refused}"
            raise Refused(reason, caller.scheme, caller.facts())
        return caller

    @staticmethod
    def decide(policy: Policy, identity: Identity, access: Access) -> Decision:
        """Decide over one access of somebody."""
        if access.type == "repository":
            return policy.decide(identity, access.action, access.name)
        if (access.type, access.name, access.action) == CATALOG:
            return Decision(
                policy.lists_for(identity), reason="nobody in particular may pull"
            )
        return Decision(allowed=False, reason="no rule is about such a resource")

    # What the token endpoint asks

    def authenticate(
        self, headers: Mapping[str, str], user: str | None, password: str | None
    ) -> str | None:
        """Return the subject of who logs in; ``""`` for nobody, ``None`` for wrong.

        A client certificate stands for a log-in without user name and password.
        """
        try:
            if user or password:
                identity = self._authenticator.log_in(
                    headers, user or "", password or ""
                )
            else:
                identity = self._authenticator.by_certificate(headers)
            self._admit(identity)
        except WrongCredentials as error:
            _log.warning("token refused: user=%.120r: %s", user, error.reason)
            return None
        return encode_subject(identity)

    def allowed(self, subject: str, accesses: Sequence[Access]) -> list[Access]:
        """Return those of *accesses* that a subject may have, as of now."""
        identity = self._still(subject)
        if identity is None:
            return []
        policy = self.policy
        return [it for it in accesses if self.decide(policy, identity, it).allowed]

    def admits(self, subject: str) -> bool:
        """Whether somebody who logged in before could do so now."""
        return self._still(subject) is not None

    def blueprint(self) -> Blueprint:
        """Return the token endpoint."""
        return self.tokens.blueprint(self.authenticate, self.allowed, self.admits)

    def _still(self, subject: str) -> Identity | None:
        """Return somebody as of now, or ``None`` when they do not get in any more."""
        try:
            identity = self._authenticator.current(decode_subject(subject))
            self._admit(identity)
        except WrongCredentials as error:
            _log.warning("token refused: subject=%.120r: %s", subject, error.reason)
            return None
        return identity

    def _admit(self, identity: Identity) -> None:
        refused = self.policy.refusal(identity)
        if refused:
            raise WrongCredentials(refused)
