"""The access controller ``token``.

Source: CNCF distribution's controller of this name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.access import scope_of
from flaskreg.errors import Unauthorized
from flaskreg_token.challenge import Challenger
from flaskreg_token.refused import TokenRefused
from flaskreg_token.verifier import TokenVerifier


_log = logging.getLogger("flaskreg.token")


class TokenAccess(AccessController):
    """Allows what a good token says; whatever else comes gets a challenge.

    :param verifier: of the tokens.
    :param challenger: tells how to get one.
    """

    def __init__(self, verifier: TokenVerifier, challenger: Challenger) -> None:
        self._verifier = verifier
        self._challenger = challenger

    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Allow all of *accesses* or none."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._refusal(headers, accesses)
        try:
            claims = self._verifier.verify(token)
        except TokenRefused as error:
            _log.warning("token refused: %s: %s", error.reason, error.facts or "-")
            raise self._refusal(headers, accesses, "invalid_token") from None
        missing = [access for access in accesses if not claims.allow(access)]
        if missing:
            _log.info("token is not for %s: %s", scope_of(missing), claims.facts)
            raise self._refusal(headers, accesses, "insufficient_scope")
        return Grant(Principal(claims.subject), tuple(accesses))

    def _refusal(
        self, headers: Mapping[str, str], accesses: Sequence[Access], error: str = ""
    ) -> Unauthorized:
        challenge = self._challenger.challenge(headers, accesses, error)
        return Unauthorized(challenge, [each.to_json() for each in accesses] or None)
