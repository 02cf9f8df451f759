"""The access controller ``policy``."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.errors import Denied
from flaskreg.errors import Unauthorized
from flaskreg_policy.authentication import Caller
from flaskreg_policy.authentication import Refused
from flaskreg_policy.granted import Granted
from flaskreg_policy.policy import Policy
from flaskreg_policy.service import PolicyService


_log = logging.getLogger("flaskreg.policy")

_BEARER = re.compile("bearer ", re.IGNORECASE)


class PolicyController(AccessController):
    """Allows what the policy says, to whoever proves who they are.

    A token allows no more than what it was issued for, and no more than what the
    policy allows now: a change of the policy applies to tokens that are out already.

    :param service: who asks, and what the policy says.
    """

    def __init__(self, service: PolicyService) -> None:
        self.service = service
        self._granted = Granted()

    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Allow all of *accesses* or none."""
        policy = self.service.policy
        given = headers.get("Authorization", "")
        if not _BEARER.match(given):
            return self._decide(policy, headers, accesses)[0]
        state = self.service.state(policy)
        grant = self._granted.find(given, accesses, state)
        if grant is None:
            grant, caller = self._decide(policy, headers, accesses)
            if caller.expires:
                self._granted.remember(given, caller.expires, grant, state)
        return grant

    def may_list(self, headers: Mapping[str, str], name: str) -> bool:
        """Whether the catalog shows a repository: whoever may pull sees it."""
        return self._may(headers, "pull", name)

    def may_overwrite(self, headers: Mapping[str, str], name: str, tag: str) -> bool:
        """Whether a tag may be moved: by whom the action ``overwrite`` is allowed."""
        allowed = self._may(headers, "overwrite", name)
        if not allowed:
            _log.info("overwrite is not allowed: %s:%s", name, tag)
        return allowed

    def _decide(
        self, policy: Policy, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> tuple[Grant, Caller]:
        try:
            caller = self.service.identify(headers, policy)
        except Refused as error:
            detail = f": {error.facts}" if error.facts else ""
            _log.warning("credentials refused: %s%s", error.reason, detail)
            wrong = "invalid_token" if error.scheme == "bearer" else ""
            raise self._challenge(headers, accesses, wrong) from None
        if not accesses and caller.identity.anonymous and caller.token is None:
            # Clients that are let in here never send the credentials that they have.
            raise self._challenge(headers, accesses)
        for access in accesses:
            why = self._objection(policy, caller, access)
            if why:
                raise self._refusal(headers, accesses, caller, access, why)
        return Grant(Principal(caller.identity.name), tuple(accesses)), caller

    def _may(self, headers: Mapping[str, str], action: str, name: str) -> bool:
        policy = self.service.policy
        try:
            caller = self.service.identify(headers, policy)
        except Refused:
            return False
        return policy.may(caller.identity, action, name)

    def _objection(self, policy: Policy, caller: Caller, access: Access) -> str:
        """Return what speaks against an access, or ``""``."""
        if caller.token is not None and not covers(caller.token, access):
            return "the token is not for it"
        decision = self.service.decide(policy, caller.identity, access)
        return "" if decision.allowed else str(decision)

    def _refusal(
        self,
        headers: Mapping[str, str],
        accesses: Sequence[Access],
        caller: Caller,
        access: Access,
        why: str,
    ) -> Unauthorized | Denied:
        anonymous, facts = caller.identity.anonymous, caller.facts()
        # Being asked for credentials is how every log-in begins.
        usual = anonymous or caller.token is not None
        level = logging.INFO if usual else logging.WARNING
        _log.log(
            level,
            "denied: user=%.120r via=%s %s %s:%s: %s%s",
            caller.identity.name,
            caller.identity.via or caller.scheme or "nothing",
            access.action,
            access.type,
            access.name,
            why,
            f": {facts}" if facts else "",
        )
        if caller.scheme == "bearer":
            return self._challenge(headers, accesses, "insufficient_scope")
        if anonymous:
            return self._challenge(headers, accesses)
        return Denied([each.to_json() for each in accesses])

    def _challenge(
        self, headers: Mapping[str, str], accesses: Sequence[Access], error: str = ""
    ) -> Unauthorized:
        value = self.service.challenger.challenge(headers, accesses, error)
        return Unauthorized(value, [each.to_json() for each in accesses] or None)


def covers(token: Sequence[Access], access: Access) -> bool:
    """Whether a token was issued for an access; its action ``*`` is every action."""
    return any(
        each.type == access.type
        and each.name == access.name
        and each.action in (access.action, "*")
        for each in token
    )
