"""The lane: the requests of the API, past Flask's machinery.

Flask's context and routing cost more than most of these requests do. They take the same
path through :func:`flaskreg.routes.endpoints.respond` that Flask's view takes, and a
test sends one corpus both ways and compares every byte.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from flaskreg.errors import NameInvalid
from flaskreg.routes.answer import status_line
from flaskreg.routes.endpoints import respond
from flaskreg.routes.paths import parse_path
from flaskreg.routes.paths import raw_path
from flaskreg.routes.site import Site
from flaskreg.routes.wsgi import body_of


def serve(
    site: Site, environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes] | None:
    """Answer a request, or leave it to Flask by returning ``None``."""
    try:
        route = parse_path(raw_path(environ), site.prefix)
    except NameInvalid:
        return None
    if route is None:
        return None
    answer = respond(site, environ, route)
    start_response(status_line(answer.status), answer.headers)
    return body_of(environ, environ["REQUEST_METHOD"], answer.body)
