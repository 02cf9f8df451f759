"""What a request needs to be allowed: endpoint and method to accesses."""

from __future__ import annotations

from functools import lru_cache

from flaskreg.access import Access
from flaskreg.access import Grant
from flaskreg.errors import Denied
from flaskreg.errors import NameInvalid
from flaskreg.errors import Unauthorized
from flaskreg.names import parse_name
from flaskreg.routes.call import Call


#: the actions that a method needs on the repository of its path.
ACTIONS = {
    "GET": ("pull",),
    "HEAD": ("pull",),
    "POST": ("pull", "push"),
    "PUT": ("pull", "push"),
    "PATCH": ("pull", "push"),
    "DELETE": ("delete",),
}

#: repositories and methods whose accesses are made once.
_REMEMBERED = 4096

#: what listing the repositories needs.
CATALOG = Access("registry", "catalog", "*")


def accesses_for(call: Call) -> tuple[Access, ...]:
    """Return what a request needs; a mount needs a pull of its source too."""
    if call.route.endpoint == "base":
        return ()
    if call.route.endpoint == "catalog":
        return (CATALOG,)
    wanted = _on_repository(call.name, call.method)
    source = mount_source(call)
    if source is None:
        return wanted
    return (*wanted, Access("repository", source, "pull"))


@lru_cache(maxsize=_REMEMBERED)
def _on_repository(name: str, method: str) -> tuple[Access, ...]:
    return tuple(Access("repository", name, each) for each in ACTIONS[method])


def mount_source(call: Call) -> str | None:
    """Return the repository that a mount names as its source, if it names one."""
    if call.method != "POST" or call.route.endpoint != "uploads":
        return None
    source = call.arg("from")
    if not source or call.arg("mount") is None:
        return None
    try:
        return parse_name(source)
    except NameInvalid:
        return None


def authorize(call: Call) -> Grant:
    """Ask the access controller for all that a request needs.

    :raises Unauthorized: see :meth:`~flaskreg.access.AccessController.authorize`.
    :raises Denied: likewise.
    """
    return call.site.controller.authorize(call.headers, accesses_for(call))


def may_pull(call: Call, name: str) -> bool:
    """Whether whoever calls may pull from repository *name*."""
    access = Access("repository", name, "pull")
    try:
        call.site.controller.authorize(call.headers, (access,))
    except (Unauthorized, Denied):
        return False
    return True
