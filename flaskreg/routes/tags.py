"""``/v2/<name>/tags/list``."""

from __future__ import annotations

from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import json_answer
from flaskreg.routes.call import Call
from flaskreg.routes.pages import next_link
from flaskreg.routes.pages import parse_limit


def get_tags(call: Call) -> Answer:
    """Answer the tags, all of them or a page (end-8)."""
    limit = parse_limit(call)
    last = call.arg("last") or ""
    if limit is None:
        tags = list(call.repository.tags.list(None, last))
        return json_answer({"name": call.name, "tags": tags})
    limit = min(limit, call.site.tag_entries)
    tags = list(call.repository.tags.list(limit + 1, last))
    page = tags[:limit]
    more = limit > 0 and len(tags) > limit
    link = next_link(call, f"{call.name}/tags/list", page[-1], limit) if more else ()
    return json_answer({"name": call.name, "tags": page}, link)
