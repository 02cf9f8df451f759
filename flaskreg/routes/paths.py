"""Which endpoint a path is: one parser, on the raw path, matching from the right.

Repository names may hold words such as ``manifests``, and the WSGI ``PATH_INFO`` is
already decoded, so that a ``%2F`` has become a slash. Hence the path as it was sent is
split first and each part decoded after, and nothing under ``/v2`` is ever redirected.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote
from urllib.parse import unquote_to_bytes

from flaskreg.errors import NameInvalid


class Route(NamedTuple):
    """An endpoint, and what its path says."""

    endpoint: str
    #: the repository name, not parsed yet.
    name: str = ""
    #: a tag, digest or session id, not parsed yet.
    reference: str = ""


#: endpoints of no repository.
NAMELESS = frozenset({"base", "catalog"})

_FORBIDDEN = frozenset("/\\") | {chr(code) for code in range(32)} | {"\x7f"}


def raw_path(environ: dict[str, object]) -> str:
    """Return the path of a request as it was sent, below where the app is mounted.

    A server that does not tell it is taken at its decoded path.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    decoded = str(environ.get("PATH_INFO", ""))
    if not isinstance(raw, str):
        return decoded.encode("latin-1").decode("utf-8", "replace")
    path = raw.partition("?")[0]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    return path.removeprefix(str(environ.get("SCRIPT_NAME", "")))


def parse_path(path: str, prefix: str = "/") -> Route | None:
    """Return the route of a raw path.

    :param path: without the query.
    :param prefix: where the API begins, with a slash at both ends.
    :returns: ``None`` when it is no path of the API.
    :raises NameInvalid: a part decodes to what cannot stand in a path.
    """
    root = prefix + "v2"
    if path == root:
        return Route("base")
    if not path.startswith(root + "/"):
        return None
    parts = path[len(root) + 1 :].split("/")
    if parts[-1] == "":
        parts.pop()
    if "%" in path:
        parts = [_decode(part) for part in parts]
    return _match(parts)


def _match(parts: list[str]) -> Route | None:
    if not parts:
        return Route("base")
    if parts == ["_catalog"]:
        return Route("catalog")
    last, before = parts[-1], parts[-2] if len(parts) > 1 else ""
    if len(parts) > 2:
        name = "/".join(parts[:-2])
        if before == "manifests":
            return Route("manifest", name, last)
        if before == "tags" and last == "list":
            return Route("tags", name)
        if before == "referrers":
            return Route("referrers", name, last)
        if before == "blobs":
            if last == "uploads":
                return Route("uploads", name)
            return Route("blob", name, last)
        if len(parts) > 3 and before == "uploads" and parts[-3] == "blobs":
            return Route("upload", "/".join(parts[:-3]), last)
    return None


def _decode(part: str) -> str:
    try:
        decoded = unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        raise NameInvalid({"path": part[:255]}) from None
    if _FORBIDDEN.intersection(decoded):
        raise NameInvalid({"path": unquote(part, errors="replace")[:255]})
    return decoded
