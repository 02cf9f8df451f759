"""The header that tells a client where to get a token, and for what.

Source: docker's token authentication specification; RFC 6750, 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.access import Access
from flaskreg.access import scope_of
from flaskreg_token.settings import TokenSettings


_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Challenger:
    """Makes challenges.

    :param settings: with the realm, or what leads to it.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings

    def challenge(
        self,
        headers: Mapping[str, str],
        accesses: Sequence[Access],
        error: str = "",
    ) -> str:
        """Return the value of ``WWW-Authenticate``.

        :param error: ``invalid_token`` or ``insufficient_scope``; ``""`` for none.
        """
        parameters = [
            ("realm", self._realm(headers)),
            ("service", self._settings.service),
            ("scope", scope_of(accesses)),
            ("error", error),
        ]
        told = [f"{name}={_quote(text)}" for name, text in parameters if text]
        return f"Bearer {','.join(told)}"

    def _realm(self, headers: Mapping[str, str]) -> str:
        """Return the realm: that of the request's host when it is to be so.

        What a client says of its host or scheme comes back to that client alone.
        """
        if not self._settings.autoredirect:
            return self._settings.realm
        host = headers.get("Host") or ""
        if not _HOST.fullmatch(host):
            return self._settings.realm
        told = headers.get("X-Forwarded-Proto") or ""
        scheme = told.partition(",")[0].strip().lower()
        if scheme not in ("http", "https"):
            scheme = "https"
        return f"{scheme}://{host}{self._settings.autoredirectpath}"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
