"""``/v2/<name>/referrers/<digest>``."""

from __future__ import annotations

from flaskreg.descriptor import Descriptor
from flaskreg.digest import parse_digest
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import Headers
from flaskreg.routes.answer import json_answer
from flaskreg.routes.call import Call
from flaskreg.routes.pages import next_link
from flaskreg.routes.pages import parse_limit


def get_referrers(call: Call) -> Answer:
    """Answer an index of the manifests about a subject (end-12)."""
    subject = parse_digest(call.route.reference)
    limit = parse_limit(call)
    most = call.site.referrer_entries
    limit = most if limit is None else min(limit, most)
    wanted = call.arg("artifactType")
    found: list[Descriptor] = []
    if limit:
        referrers = call.repository.referrers
        for descriptor in referrers.iter_referrers(subject, call.arg("last") or ""):
            if not wanted or descriptor.artifact_type == wanted:
                found.append(descriptor)
                if len(found) > limit:
                    break
    page = found[:limit]
    headers: Headers = []
    if wanted:
        headers.append(("OCI-Filters-Applied", "artifactType"))
    if len(found) > limit:
        tail = f"{call.name}/referrers/{subject}"
        more = {"artifactType": wanted} if wanted else None
        headers += next_link(call, tail, page[-1].digest, limit, more)
    return json_answer(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor.to_json() for descriptor in page],
        },
        headers,
        media_type=OCI_INDEX,
    )
