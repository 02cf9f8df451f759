"""The token endpoint: who may have which token, and the keys that verify it.

Source: docker's token authentication and OAuth2 token specifications.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from flask import Blueprint
from flask import Response
from flask import jsonify
from flask import request

from flaskreg.access import Access
from flaskreg.access import scope_of
from flaskreg.errors import Unauthorized
from flaskreg.routes.call import EnvironHeaders
from flaskreg_token.asked import Asked
from flaskreg_token.asked import BadCredentials
from flaskreg_token.asked import parse_form
from flaskreg_token.asked import parse_query
from flaskreg_token.issuer import TokenIssuer
from flaskreg_token.refused import TokenRefused
from flaskreg_token.scopes import spelled_out


_log = logging.getLogger("flaskreg.token")

#: returns the subject of who has a user name and a password, either of which may be
#: ``None``; ``""`` for nobody in particular, ``None`` when they are wrong.
Authenticate = Callable[[Mapping[str, str], str | None, str | None], str | None]

#: whether a subject may do something.
Allowed = Callable[[str, Access], bool]

#: whether a subject that logged in some time ago could do so now.
Admits = Callable[[str], bool]


def make_token_blueprint(
    issuer: TokenIssuer,
    authenticate: Authenticate,
    allowed: Allowed,
    service: str,
    admits: Admits | None = None,
) -> Blueprint:
    """Return the endpoints ``/token`` and ``/jwks``, to be mounted below ``/auth``.

    :param issuer: of the tokens.
    :param authenticate: tells who asks.
    :param allowed: narrows what is asked for; less than that is no error.
    :param service: the only one that tokens are for.
    :param admits: asked about who comes with a refresh token; by default everybody is.
    """
    blueprint = Blueprint("flaskreg_token", __name__)

    def get_token() -> Response:
        """Answer docker's own form: a query, and Basic credentials or none."""
        return _private(answer(ask(parse_query)))

    def post_token() -> Response:
        """Answer the form of OAuth2."""
        return _private(answer(ask(parse_form)))

    def get_jwks() -> Response:
        """Answer the keys that verify our tokens."""
        response = jsonify(issuer.keyring.jwks())
        response.mimetype = "application/jwk-set+json"
        response.headers["Cache-Control"] = "public, max-age=300"
        return response

    def ask(parse: Callable[[Any, str], Asked]) -> Asked:
        try:
            return parse(request, service)
        except BadCredentials:
            raise _unauthorized(service, "credentials that cannot be read") from None

    def answer(asked: Asked) -> dict[str, Any]:
        subject = subject_of(asked)
        wanted = spelled_out(asked.accesses)
        granted = [each for each in wanted if allowed(subject, each)]
        issued = issuer.issue(subject, granted)
        document: dict[str, Any] = {
            "access_token": issued.token,
            "expires_in": issued.expires_in,
            "issued_at": issued.issued_at,
        }
        if asked.oauth:
            document["scope"] = scope_of(granted)
        else:
            document["token"] = issued.token
        if asked.offline and subject:
            document["refresh_token"] = asked.refresh or issuer.issue_refresh(subject)
        return document

    def subject_of(asked: Asked) -> str:
        if asked.refresh:
            return refreshed(asked.refresh)
        headers = EnvironHeaders(request.environ)
        subject = authenticate(headers, asked.user, asked.password)
        if subject is None:
            raise _unauthorized(service, f"wrong credentials: user={asked.user!r:.120}")
        return subject

    def refreshed(token: str) -> str:
        try:
            subject = issuer.read_refresh(token)
        except TokenRefused as error:
            reason = f"refresh token: {error.reason}: {error.facts or '-'}"
            raise _unauthorized(service, reason) from None
        if admits is not None and not admits(subject):
            raise _unauthorized(service, f"refresh token: sub={subject!r:.120}")
        return subject

    blueprint.add_url_rule("/token", "get_token", get_token, methods=["GET"])
    blueprint.add_url_rule("/token", "post_token", post_token, methods=["POST"])
    blueprint.add_url_rule("/jwks", "get_jwks", get_jwks, methods=["GET"])
    return blueprint


def _private(document: Mapping[str, Any]) -> Response:
    """Return an answer that nobody keeps but the client (RFC 6749, 5.1)."""
    response = jsonify(document)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def _unauthorized(service: str, reason: str) -> Unauthorized:
    _log.warning("token refused: %s", reason)
    escaped = service.replace("\\", "\\\\").replace('"', '\\"')
    return Unauthorized(f'Basic realm="{escaped}"')
