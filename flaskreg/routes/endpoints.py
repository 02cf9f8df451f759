"""Every endpoint with its methods, and the straight path of a request through one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from flaskreg.errors import Unsupported
from flaskreg.names import parse_name
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import empty_answer
from flaskreg.routes.authorize import authorize
from flaskreg.routes.base import get_base
from flaskreg.routes.blobs import delete_blob
from flaskreg.routes.blobs import get_blob
from flaskreg.routes.blobs import head_blob
from flaskreg.routes.call import Call
from flaskreg.routes.catalog import get_catalog
from flaskreg.routes.manifests import delete_manifest
from flaskreg.routes.manifests import get_manifest
from flaskreg.routes.manifests import head_manifest
from flaskreg.routes.manifests import put_manifest
from flaskreg.routes.paths import NAMELESS
from flaskreg.routes.paths import Route
from flaskreg.routes.referrers import get_referrers
from flaskreg.routes.render import render
from flaskreg.routes.site import Site
from flaskreg.routes.tags import get_tags
from flaskreg.routes.uploads import delete_upload
from flaskreg.routes.uploads import get_upload
from flaskreg.routes.uploads import patch_upload
from flaskreg.routes.uploads import post_uploads
from flaskreg.routes.uploads import put_upload


Handler = Callable[[Call], Answer]

#: what each endpoint does for each method. HEAD of a list is its GET without the body.
ENDPOINTS: Mapping[str, Mapping[str, Handler]] = {
    "base": {"GET": get_base, "HEAD": get_base},
    "catalog": {"GET": get_catalog, "HEAD": get_catalog},
    "tags": {"GET": get_tags, "HEAD": get_tags},
    "referrers": {"GET": get_referrers, "HEAD": get_referrers},
    "manifest": {
        "GET": get_manifest,
        "HEAD": head_manifest,
        "PUT": put_manifest,
        "DELETE": delete_manifest,
    },
    "blob": {"GET": get_blob, "HEAD": head_blob, "DELETE": delete_blob},
    "uploads": {"POST": post_uploads},
    "upload": {
        "GET": get_upload,
        "HEAD": get_upload,
        "PATCH": patch_upload,
        "PUT": put_upload,
        "DELETE": delete_upload,
    },
}

#: the methods that a read-only registry refuses.
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

API_VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")


def respond(site: Site, environ: dict[str, Any], route: Route) -> Answer:
    """Answer a request to an endpoint, whatever happens.

    Both callers, the read lane and the Flask view, come through here and nowhere else.
    """
    try:
        answer = _respond(site, environ, route)
    except Exception as error:  # noqa: BLE001 - the one place that renders errors
        answer = render(error)
    answer.headers += (API_VERSION, *site.headers)
    return answer


def methods(site: Site, endpoint: str) -> list[str]:
    """Return the methods of an endpoint, as ``Allow`` lists them."""
    offered = ENDPOINTS[endpoint]
    if site.read_only():
        offered = {name: offered[name] for name in offered if name not in WRITES}
    return sorted([*offered, "OPTIONS"])


def _respond(site: Site, environ: dict[str, Any], route: Route) -> Answer:
    method = environ["REQUEST_METHOD"]
    if method == "OPTIONS":
        return empty_answer(200, [("Allow", ", ".join(methods(site, route.endpoint)))])
    handler = ENDPOINTS[route.endpoint].get(method)
    refused = method in WRITES and site.read_only()
    if handler is None or refused:
        allowed = ", ".join(methods(site, route.endpoint))
        detail = "the registry is read-only" if refused else None
        raise Unsupported(detail, headers={"Allow": allowed})
    call = Call(site, environ, method, route)
    if route.endpoint not in NAMELESS:
        name = parse_name(route.name)
        host = environ.get("HTTP_HOST", "")
        located = site.registry.locate(name, call.arg("ns"), host)
        if located != name:
            call.route = route._replace(name=located)
    call.grant = authorize(call)
    return handler(call)
