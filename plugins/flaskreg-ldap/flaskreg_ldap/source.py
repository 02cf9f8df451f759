"""The identity source ``ldap``: search for the user, then bind as them."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

from flaskreg_policy.identity import Identity
from flaskreg_policy.identity import IdentitySource
from flaskreg_policy.identity import WrongCredentials
from flaskreg_policy.validate import validated

from flaskreg.errors import Unavailable
from flaskreg.lru import LRU
from flaskreg_ldap.directory import Directory
from flaskreg_ldap.directory import DirectoryError
from flaskreg_ldap.settings import LdapSettings


_log = logging.getLogger("flaskreg.ldap")

_REMEMBERED = 4096
_LONGEST = 1024


class LdapSource(IdentitySource):
    """Users of a directory.

    A good log-in is remembered for a short while by a keyed digest whose key never
    leaves the process, so that a push does not bind for each of its requests. Wrong
    ones are not remembered.

    :param settings: of the directory.
    """

    name = "ldap"

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._directory = Directory(settings)
        self._secret = secrets.token_bytes(32)
        self._logins: LRU[bytes, tuple[float, Identity]] = LRU(_REMEMBERED)
        self._groups: LRU[str, tuple[float, frozenset[str]]] = LRU(_REMEMBERED)

    def authenticate(self, user: str, password: str, address: str) -> Identity | None:
        """Return who logs in, as the directory spells the name."""
        del address
        if not user or not password or len(user) + len(password) > _LONGEST:
            return None
        digest = self._digest(user, password)
        known = self._logins.get(digest)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        try:
            identity = self._ask(user, password)
        except DirectoryError as error:
            _log.error("%s", error)
            raise Unavailable("the directory of users does not answer") from None
        if identity is None:
            self._logins.discard(digest)
            return None
        self._logins.set(digest, (self._until(), identity))
        return identity

    def groups_of(self, name: str) -> frozenset[str] | None:
        """Return the groups of somebody who logged in before, as of a moment ago.

        When the directory does not answer, what a token says holds.
        """
        known = self._groups.get(name)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        try:
            with self._directory.connect() as connection:
                entry = self._directory.find(connection, name)
                if entry is None or entry.name != name:
                    raise WrongCredentials("the directory has no such user any more")
                groups = self._directory.groups(connection, entry)
        except DirectoryError as error:
            _log.error("%s", error)
            return None
        self._groups.set(name, (self._until(), groups))
        return groups

    def _ask(self, user: str, password: str) -> Identity | None:
        with self._directory.connect() as connection:
            entry = self._directory.find(connection, user)
            # The right password is asked for before anything is told of groups.
            if entry is None or not self._directory.check(entry, password):
                return None
            groups = self._directory.groups(connection, entry)
        self._groups.set(entry.name, (self._until(), groups))
        return Identity(entry.name, groups, self.name)

    def _until(self) -> float:
        return time.monotonic() + self._settings.cache

    def _digest(self, user: str, password: str) -> bytes:
        text = f"{len(user)}:{user}{password}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._secret, text, hashlib.sha256)


def make_source(parameters: Mapping[str, Any], key: str) -> IdentitySource:
    """Make the source from its parameters.

    :raises ConfigError: one of them is unknown, missing or wrong.
    """
    return LdapSource(validated(LdapSettings, dict(parameters), key))
