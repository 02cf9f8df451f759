"""Pages of a list: ``n``, ``last`` and the ``Link`` to what follows."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from flaskreg.errors import PaginationInvalid
from flaskreg.routes.answer import Headers
from flaskreg.routes.call import Call


def parse_limit(call: Call) -> int | None:
    """Return how many results are asked for, or ``None``.

    :raises PaginationInvalid: it is not a number from 0.
    """
    stated = call.arg("n")
    if not stated:
        return None
    if stated.isascii() and stated.isdigit() and len(stated) <= 18:
        return int(stated)
    raise PaginationInvalid({"n": stated[:100]})


def next_link(
    call: Call, tail: str, last: str, limit: int, more: Mapping[str, str] | None = None
) -> Headers:
    """Return the ``Link`` header to the page after *last*.

    :param tail: the path behind ``v2/``.
    :param limit: of a page.
    :param more: further parameters that the next page needs.
    """
    query = urlencode(sorted({"last": last, "n": str(limit), **(more or {})}.items()))
    path = call.site.urls.path(call.environ, tail)
    return [("Link", f'<{path}?{query}>; rel="next"')]
