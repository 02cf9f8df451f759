"""The HTTP API as a Flask blueprint: one view that hands on to the endpoints."""

from __future__ import annotations

from flask import Blueprint
from flask import Response
from flask import request
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from flaskreg.errors import RegistryError
from flaskreg.errors import RouteUnknown
from flaskreg.routes.answer import Answer
from flaskreg.routes.endpoints import API_VERSION
from flaskreg.routes.endpoints import respond
from flaskreg.routes.paths import parse_path
from flaskreg.routes.paths import raw_path
from flaskreg.routes.render import render
from flaskreg.routes.site import Site
from flaskreg.routes.wsgi import body_of


#: every method, so that those that an endpoint lacks are refused in the API's own form.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class AnythingConverter(BaseConverter):
    """Matches whatever stands in a path: our own parser reads the raw one."""

    regex = ".*?"
    part_isolating = False


def make_blueprint(site: Site) -> Blueprint:
    """Return the blueprint that serves *site*."""
    blueprint = Blueprint("registry", __name__)

    @blueprint.record_once
    def prepare(state: BlueprintSetupState) -> None:
        """Take paths as they are: a redirect in the middle of a push breaks clients."""
        app = state.app
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        app.url_map.converters["anything"] = AnythingConverter

    def dispatch(**_path: str) -> Response:
        """Answer a request to the API."""
        try:
            route = parse_path(raw_path(request.environ), site.prefix)
        except RegistryError as error:
            return to_response(_versioned(site, render(error)))
        if route is None:
            return to_response(_versioned(site, render(RouteUnknown())))
        return to_response(respond(site, request.environ, route))

    def alive() -> Response:
        """Answer that the process lives, without credentials."""
        return Response("", headers={"Cache-Control": "no-cache"})

    def refused(error: Exception) -> Response:
        """Answer an error that did not come from an endpoint."""
        return to_response(render(error))

    root = f"{site.prefix}v2"
    for rule in (root, f"{root}/", f"{root}/<anything:path>"):
        blueprint.add_url_rule(
            rule,
            "dispatch",
            dispatch,
            methods=METHODS,
            provide_automatic_options=False,
        )
    blueprint.add_url_rule("/", "alive", alive)
    blueprint.app_errorhandler(Exception)(refused)
    return blueprint


def to_response(answer: Answer) -> Response:
    """Return an answer as Flask's response, its body untouched."""
    response = Response(
        body_of(request.environ, request.method, answer.body),
        status=answer.status,
        direct_passthrough=True,
    )
    response.headers.clear()
    response.headers.extend(answer.headers)
    return response


def _versioned(site: Site, answer: Answer) -> Answer:
    answer.headers += (API_VERSION, *site.headers)
    return answer
