"""Who somebody is, once they have proved it, and the contract of who proves it."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flaskreg_policy.globs import Glob


class WrongCredentials(Exception):
    """Credentials that prove nothing.

    :param reason: why, for the log. It never holds the credentials.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Limit:
    """What an API key is narrowed to: some actions on some repositories."""

    repositories: tuple[Glob, ...]
    actions: frozenset[str]

    def allows(self, action: str, repository: str) -> bool:
        """Whether an action on a repository is within the limit."""
        return action in self.actions and any(
            glob.matches(repository) for glob in self.repositories
        )


@dataclass(frozen=True)
class Identity:
    """Somebody, or nobody in particular.

    :param name: the user's; ``""`` for whoever gave no credentials.
    :param groups: those that the proof of identity named; the policy may add more.
    :param via: what proved it: ``password``, ``apikey``, ``oidc``, ``certificate`` or
        the name of an identity source.
    :param key: the id of the API key, when one was used.
    :param limits: what the API key is narrowed to; ``None`` when it is not.
    """

    name: str = ""
    groups: frozenset[str] = frozenset()
    via: str = ""
    key: str = ""
    limits: tuple[Limit, ...] | None = None

    @property
    def anonymous(self) -> bool:
        """Whether nobody in particular asks."""
        return not self.name

    def within_limits(self, action: str, repository: str) -> bool:
        """Whether the API key, if one was used, is good for this."""
        return self.limits is None or any(
            limit.allows(action, repository) for limit in self.limits
        )


ANONYMOUS = Identity()


class IdentitySource(ABC):
    """Checks passwords somewhere else, such as in a directory.

    Many threads call a source at once. It is made before the server forks, and
    connects when it is first asked.
    """

    #: what is told as :attr:`Identity.via`.
    name: str

    @abstractmethod
    def authenticate(self, user: str, password: str, address: str) -> Identity | None:
        """Return who logs in with a password.

        :param user: as it was typed.
        :param password: never empty.
        :param address: of the client; ``""`` when not known.
        :returns: the identity, or ``None`` for a wrong or unknown one.
        :raises flaskreg.errors.Unavailable: the source cannot tell for now.
        """

    def groups_of(self, name: str) -> frozenset[str] | None:
        """Return the groups that somebody is in now, who logged in before.

        Asked at each request with a token, so that a change applies before it ends.

        :returns: ``None`` when the source does not know; the groups of the log-in hold.
        :raises WrongCredentials: the user is there no more.
        """
        del name
        return None


IdentitySourceFactory = Callable[[Mapping[str, Any], str], IdentitySource]
"""Makes a source from its own parameters and the dotted key that they stand under.

It raises :class:`~flaskreg.config.ConfigError` for what it does not know, and does no
I/O.
"""
