"""One request, as an endpoint sees it: parsed, authorised, and nothing of Flask."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from flaskreg.access import Grant
from flaskreg.access import Peer
from flaskreg.errors import UriTooLong
from flaskreg.routes.body import Body
from flaskreg.routes.paths import Route
from flaskreg.routes.site import Site
from flaskreg.services import Repository


#: the most parameters of a query that are looked at.
_PARAMETERS = 256


@lru_cache(maxsize=256)
def _key(name: str) -> str:
    """Return the environ's key of a header."""
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_" + key


class EnvironHeaders(Mapping[str, str]):
    """The headers of a WSGI request, read where they are.

    :param environ: of the request.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self._environ[_key(name)]
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default without it."""
        return self._environ.get(_key(name), default)

    @property
    def peer(self) -> Peer:
        """Return who sent the request."""
        socket = self._environ.get("gunicorn.socket")
        certificate = getattr(socket, "getpeercert", None)
        return Peer(
            self._environ.get("REMOTE_ADDR") or "",
            (certificate() or None) if certificate else None,
        )

    def __iter__(self) -> Iterator[str]:
        for key in self._environ:
            if key.startswith("HTTP_"):
                yield key[5:].replace("_", "-").title()
            elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
                yield key.replace("_", "-").title()

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Call:
    """A request to one endpoint.

    :param site: what all endpoints share.
    :param environ: of the request.
    :param method: GET, PUT and so on.
    :param route: what its path says.
    """

    __slots__ = ("_args", "environ", "grant", "headers", "method", "route", "site")

    #: set once the request is authorised.
    grant: Grant

    def __init__(
        self, site: Site, environ: dict[str, Any], method: str, route: Route
    ) -> None:
        self.site = site
        self.environ = environ
        self.method = method
        self.route = route
        self.headers = EnvironHeaders(environ)
        self._args: dict[str, list[str]] | None = None

    @property
    def name(self) -> str:
        """Return the repository name."""
        return self.route.name

    @property
    def repository(self) -> Repository:
        """Return the repository that the path names."""
        return self.site.registry.repository(self.route.name)

    @property
    def body(self) -> Body:
        """Return the reader of the body."""
        return Body(self.environ)

    def header(self, key: str) -> str | None:
        """Return a header by its name in the environ, such as ``HTTP_RANGE``."""
        value: str | None = self.environ.get(key)
        return value

    def args(self, name: str) -> list[str]:
        """Return all values of a parameter of the query, in their order.

        :raises UriTooLong: the query has more parameters than anybody needs.
        """
        if self._args is None:
            self._args = {}
            query = self.environ.get("QUERY_STRING", "")
            if query:
                try:
                    pairs = parse_qsl(
                        query,
                        keep_blank_values=True,
                        errors="replace",
                        max_num_fields=_PARAMETERS,
                    )
                except ValueError:
                    raise UriTooLong("too many parameters") from None
                for key, value in pairs:
                    self._args.setdefault(key, []).append(value)
        return self._args.get(name, [])

    def arg(self, name: str) -> str | None:
        """Return the first value of a parameter of the query, or ``None``."""
        values = self.args(name)
        return values[0] if values else None
