"""The access controllers ``none``, which lets everybody, and ``silly``, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import AccessControllerFactory
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.access import scope_of
from flaskreg.config import ConfigError
from flaskreg.errors import Unauthorized
from flaskreg.hookspecs import hookimpl


class OpenAccess(AccessController):
    """Allows everything to everybody."""

    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Return a grant of all that is asked."""
        del headers
        return Grant(Principal(), tuple(accesses))


class SillyAccess(AccessController):
    """Wants an ``Authorization`` header, whatever stands in it.

    Source: CNCF distribution's ``silly`` controller, which is for tests of clients.

    :param realm: told in the challenge.
    :param service: told in the challenge.
    """

    def __init__(self, realm: str, service: str) -> None:
        self._realm = realm
        self._service = service

    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Return a grant to the user ``silly``, or the challenge."""
        if headers.get("Authorization"):
            return Grant(Principal("silly"), tuple(accesses))
        challenge = f'Bearer realm="{self._realm}",service="{self._service}"'
        if accesses:
            challenge += f',scope="{scope_of(accesses)}"'
        raise Unauthorized(challenge, [access.to_json() for access in accesses])


def _make_open(parameters: Mapping[str, Any]) -> OpenAccess:
    for key in parameters:
        raise ConfigError(f"auth.none.{key}: unknown key; none takes no parameters")
    return OpenAccess()


def _make_silly(parameters: Mapping[str, Any]) -> SillyAccess:
    for key in parameters.keys() - {"realm", "service"}:
        raise ConfigError(f"auth.silly.{key}: unknown key; known are realm, service")
    for key in ("realm", "service"):
        value = parameters.get(key)
        named = isinstance(value, str) and value.isprintable() and value.isascii()
        if not value or not named or '"' in value:
            raise ConfigError(f"auth.silly.{key}: {value!r} is not a name")
    return SillyAccess(parameters["realm"], parameters["service"])


@hookimpl
def flaskreg_register_access_controllers() -> Mapping[str, AccessControllerFactory]:
    """Offer the controllers."""
    return {"none": _make_open, "silly": _make_silly}
