"""The access controller ``htpasswd``.

Source: CNCF distribution's controller of this name.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.access import peer_of
from flaskreg.errors import Unauthorized
from flaskreg_htpasswd.basic import parse_basic
from flaskreg_htpasswd.basic import quote_realm
from flaskreg_htpasswd.passwords import PasswordFile


class HtpasswdAccess(AccessController):
    """Allows everything to whoever is in a password file.

    :param realm: told in the challenge.
    :param passwords: the file.
    """

    def __init__(self, realm: str, passwords: PasswordFile) -> None:
        self._challenge = f"Basic realm={quote_realm(realm)}"
        self._passwords = passwords

    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Return a grant of all that is asked, or the challenge."""
        # Also without credentials, so that a first start makes the file.
        self._passwords.file.get()
        given = parse_basic(headers)
        address = peer_of(headers).address
        if given is None or not self._passwords.verify(*given, address):
            detail = [access.to_json() for access in accesses]
            raise Unauthorized(self._challenge, detail or None)
        return Grant(Principal(given[0]), tuple(accesses))
