"""The contract of access control: who may do what.

Source: CNCF distribution's ``auth.AccessController``; the scope grammar of docker's
token authentication.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Access:
    """One thing that a request needs to do.

    ``type`` is ``repository`` or ``registry``; ``action`` is ``pull``, ``push``,
    ``delete`` or, for the catalog, ``*``.
    """

    type: str
    name: str
    action: str

    def to_json(self) -> dict[str, str]:
        """Return the object that stands in the detail of an UNAUTHORIZED error."""
        return {
            "Type": self.type,
            "Class": "",
            "Name": self.name,
            "Action": self.action,
        }


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    #: ``""`` for nobody in particular.
    name: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What was allowed, and to whom."""

    principal: Principal
    accesses: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the connection, as far as the server tells."""

    #: the address of the client, or of a proxy before it; ``""`` when not known.
    address: str = ""
    #: the client's TLS certificate as :meth:`ssl.SSLSocket.getpeercert` decodes it;
    #: ``None`` without one.
    certificate: Mapping[str, Any] | None = None


def peer_of(headers: Mapping[str, str]) -> Peer:
    """Return the peer that sent *headers*; an empty one when nobody told."""
    peer = getattr(headers, "peer", None)
    return peer if isinstance(peer, Peer) else Peer()


class AccessController(ABC):
    """Decides over each request, before anything of it is read but its head."""

    @abstractmethod
    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Allow all of *accesses* or none.

        :param headers: the request's headers; names are matched in any letter case.
            :func:`peer_of` tells who sent them.
        :param accesses: what the request needs; empty for ``/v2/``, which still
            wants valid credentials where the controller wants any.
        :returns: a grant of exactly *accesses*.
        :raises Unauthorized: there are no credentials, or they are wrong; it carries
            the challenge that tells how to get them.
        :raises Denied: the credentials are good and do not suffice.
        """

    def may_list(self, headers: Mapping[str, str], name: str) -> bool:
        """Whether the catalog shows repository *name* to whoever sent *headers*.

        The right to read the catalog was granted before. Everything is shown by a
        controller that does not decide otherwise, as in CNCF distribution.
        """
        del headers, name
        return True

    def may_overwrite(self, headers: Mapping[str, str], name: str, tag: str) -> bool:
        """Whether *tag* of repository *name* may be moved to another manifest.

        The right to push was granted before. Asked while the tag is written, and only
        when it is there and names another manifest, or may be there a moment later.
        """
        del headers, name, tag
        return True


def scope_of(accesses: Sequence[Access]) -> str:
    """Return *accesses* as the scope of a token: ``repository:a/b:pull,push``.

    Source: docker's token scope grammar; resources and actions are sorted.
    """
    actions: dict[tuple[str, str], set[str]] = {}
    for access in accesses:
        actions.setdefault((access.type, access.name), set()).add(access.action)
    return " ".join(
        f"{kind}:{name}:{','.join(sorted(wanted))}"
        for (kind, name), wanted in sorted(actions.items())
    )


#: makes a controller from its own parameters of the configuration.
AccessControllerFactory = Callable[[Mapping[str, Any]], AccessController]
