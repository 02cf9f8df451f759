"""The scopes that clients ask for.

Source: docker's token scope grammar: ``type[(class)]:[host[:port]/]name:action,...``;
several stand in one text, a space between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from flaskreg.access import Access
from flaskreg.errors import RegistryError


#: the most accesses that one token is for.
MOST = 256

_SCOPE = re.compile(
    r"(?P<type>[a-z0-9]+)(?:\([a-z0-9]+\))?"
    r":(?P<name>(?:[A-Za-z0-9.-]+:[0-9]{1,5}/)?[A-Za-z0-9._/-]{1,512})"
    r":(?P<actions>(?:\*|[a-z]*)(?:,(?:\*|[a-z]*))*)"
)


class ScopeInvalid(RegistryError):
    """A scope is not one by the grammar."""

    code = "UNSUPPORTED"
    status = 400
    message = "invalid scope"


#: what ``*`` of a repository stands for.
_EVERY = ("pull", "push", "delete")


def parse_scopes(texts: Sequence[str]) -> list[Access]:
    """Return what scopes are for, each access once; a class is left out.

    :raises ScopeInvalid: one of them does not parse, or they are for too much.
    """
    found: dict[Access, None] = {}
    for text in texts:
        for scope in text.split():
            match = _SCOPE.fullmatch(scope)
            if match is None:
                raise ScopeInvalid(scope[:256])
            for action in match["actions"].split(","):
                if action:
                    found[Access(match["type"], match["name"], action)] = None
            if len(found) > MOST:
                raise ScopeInvalid(f"more than {MOST} actions")
    return list(found)


def spelled_out(accesses: Sequence[Access]) -> list[Access]:
    """Return accesses with every action of a repository by its own name.

    So each of them can be allowed or not; ``*`` of other types is an action itself.
    """
    found: dict[Access, None] = {}
    for access in accesses:
        whole = access.type == "repository" and access.action == "*"
        for action in _EVERY if whole else (access.action,):
            found[Access(access.type, access.name, action)] = None
    return list(found)
