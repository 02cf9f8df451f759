"""A directory: searched, and asked whether a password is right.

Source: RFC 4511; RFC 4513, 5.1.2: a bind with a name and no password succeeds, and
proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ldap  # type: ignore[import-untyped]
from ldap.filter import escape_filter_chars  # type: ignore[import-untyped]

from flaskreg_ldap.settings import LdapSettings


#: the most groups of one user.
MOST_GROUPS = 1000


class DirectoryError(Exception):
    """The directory does not answer, or not as it should; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A user as the directory has it.

    :param dn: the distinguished name.
    :param name: the user's name, in the directory's own spelling.
    """

    dn: str
    name: str


class Directory:
    """One LDAP server.

    Each question has a connection of its own, which is closed at the end: log-ins are
    rare, since they are remembered, and a connection is no longer its owner's after a
    bind as somebody else.

    :param settings: where it is, and how users are found in it.
    """

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """Connect and bind as whoever searches.

        :raises DirectoryError: that did not succeed.
        """
        settings = self._settings
        secret = settings.bindpassword.get_secret_value()
        try:
            connection = self._open()
            try:
                connection.simple_bind_s(settings.binddn, secret)
                yield connection
            finally:
                connection.unbind_ext_s()
        except ldap.LDAPError as error:
            # Their text is the server's and has no password in it; what was sent
            # never stands in one.
            raise DirectoryError(f"{settings.uri}: {_told(error)}") from None

    def find(self, connection: Any, user: str) -> Entry | None:
        """Return the one entry of a user; ``None`` for none, and for several."""
        settings = self._settings
        wanted = settings.userfilter.replace("{user}", escape_filter_chars(user))
        found = self._search(
            connection, settings.base, wanted, settings.userattribute, 2
        )
        if len(found) != 1:
            return None
        dn, names = found[0]
        # The name of the directory, since it compares without regard to case.
        return Entry(dn, names[0]) if names else None

    def groups(self, connection: Any, entry: Entry) -> frozenset[str]:
        """Return the names of the groups that an entry is in."""
        settings = self._settings
        if not settings.groupbase:
            return frozenset()
        wanted = _filled(settings.groupfilter, entry)
        found = self._search(
            connection,
            settings.groupbase,
            wanted,
            settings.groupattribute,
            MOST_GROUPS,
        )
        return frozenset(name for _, names in found for name in names)

    def check(self, entry: Entry, password: str) -> bool:
        """Whether a password is that of an entry.

        :param password: never empty.
        :raises DirectoryError: the server cannot tell.
        """
        if not password:
            raise ValueError("an empty password proves nothing")
        try:
            connection = self._open()
            try:
                connection.simple_bind_s(entry.dn, password)
            finally:
                connection.unbind_ext_s()
        except (
            ldap.INVALID_CREDENTIALS,
            ldap.INAPPROPRIATE_AUTH,
            ldap.CONSTRAINT_VIOLATION,
            ldap.INSUFFICIENT_ACCESS,
            ldap.UNWILLING_TO_PERFORM,
        ):
            return False
        except ldap.LDAPError as error:
            raise DirectoryError(f"{self._settings.uri}: {_told(error)}") from None
        return True

    def _open(self) -> Any:
        settings = self._settings
        # The default keeps no trace of what is sent, which holds passwords.
        connection = ldap.initialize(settings.uri, trace_level=0)
        connection.protocol_version = ldap.VERSION3
        connection.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, settings.timeout)
        connection.set_option(ldap.OPT_TIMEOUT, settings.timeout)
        if settings.cacert:
            connection.set_option(ldap.OPT_X_TLS_CACERTFILE, settings.cacert)
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        # Makes what was set before hold; it has to stand last.
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        if settings.starttls:
            connection.start_tls_s()
        return connection

    def _search(
        self, connection: Any, base: str, wanted: str, attribute: str, most: int
    ) -> list[tuple[str, list[str]]]:
        scopes = {"subtree": ldap.SCOPE_SUBTREE, "onelevel": ldap.SCOPE_ONELEVEL}
        try:
            found = connection.search_ext_s(
                base,
                scopes[self._settings.scope],
                wanted,
                [attribute],
                timeout=self._settings.timeout,
                sizelimit=most,
            )
        except ldap.SIZELIMIT_EXCEEDED:
            # Too many users are nobody, and too many groups are none.
            return []
        # What has no name is a referral to another server.
        return [
            (dn, [value.decode("utf-8", "replace") for value in _values(attributes)])
            for dn, attributes in found
            if dn is not None
        ]


def _values(attributes: dict[str, list[bytes]]) -> list[bytes]:
    # Only one was asked for, and its spelling is the server's.
    return next(iter(attributes.values()), [])


def _filled(text: str, entry: Entry) -> str:
    """Fill both names in at once, so that neither is looked for in the other."""
    values = {"{user}": entry.name, "{dn}": entry.dn}
    parts = []
    while text:
        at, key = min(
            ((text.find(key), key) for key in values if key in text),
            default=(len(text), ""),
        )
        parts.append(text[:at])
        if key:
            parts.append(escape_filter_chars(values[key]))
        text = text[at + len(key) :]
    return "".join(parts)


def _told(error: ldap.LDAPError) -> str:
    details = error.args[0] if error.args else {}
    if not isinstance(details, dict):
        return type(error).__name__
    told = [str(details.get("desc", type(error).__name__))]
    if details.get("info"):
        told.append(str(details["info"]))
    return ": ".join(told)[:200]
