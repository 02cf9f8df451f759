"""``/v2/_catalog``: the repositories, as docker and distribution list them."""

from __future__ import annotations

from itertools import islice

from flaskreg.errors import PaginationInvalid
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import json_answer
from flaskreg.routes.call import Call
from flaskreg.routes.pages import next_link
from flaskreg.routes.pages import parse_limit


#: repositories of a page when the client does not say.
DEFAULT_LIMIT = 100


def get_catalog(call: Call) -> Answer:
    """Answer a page of repository names."""
    most = call.site.catalog_entries
    limit = parse_limit(call)
    if limit is None:
        limit = min(DEFAULT_LIMIT, most)
    if limit > most:
        raise PaginationInvalid({"n": limit})
    names: list[str] = []
    if limit:
        may_list = call.site.controller.may_list
        every = call.site.registry.iter_repositories(call.arg("last") or "")
        shown = (name for name in every if may_list(call.headers, name))
        names = list(islice(shown, limit + 1))
    page = names[:limit]
    link = next_link(call, "_catalog", page[-1], limit) if len(names) > limit else ()
    return json_answer({"repositories": page}, link)
