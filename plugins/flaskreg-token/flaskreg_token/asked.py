"""What a client asks the token endpoint for, in either of its two forms.

Source: docker's token authentication and OAuth2 token specifications; RFC 6749.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from dataclasses import field
from urllib.parse import parse_qsl

from flask import Request

from flaskreg.access import Access
from flaskreg.errors import RegistryError
from flaskreg_token.scopes import parse_scopes


#: the largest form, in bytes.
LARGEST = 64 << 10

_FORM = "application/x-www-form-urlencoded"
_PARAMETERS = 256


class TokenRequestInvalid(RegistryError):
    """A request for a token is not one by the specification."""

    code = "UNSUPPORTED"
    status = 400
    message = "invalid token request"


class BadCredentials(Exception):
    """There are credentials that cannot be read; they are not those of nobody."""


@dataclass(frozen=True)
class Asked:
    """A request for a token.

    :param user: ``None`` when none is given; likewise *password*.
    :param refresh: the refresh token by which it asks; ``""`` for none.
    :param offline: whether it asks for a refresh token.
    :param oauth: whether it asks by the form of OAuth2.
    """

    accesses: tuple[Access, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    refresh: str = field(default="", repr=False)
    offline: bool = False
    oauth: bool = False


def parse_query(request: Request, service: str) -> Asked:
    """Return what a GET asks for.

    :raises TokenRequestInvalid: it is not for *service*, or does not parse.
    :raises BadCredentials: its credentials cannot be read.
    """
    values = _parsed(request.query_string)
    _check_service(values, service)
    user, password = _parse_basic(request.headers.get("Authorization"))
    offline = _one(values, "offline_token").lower() in ("true", "1")
    accesses = tuple(parse_scopes(values.get("scope", [])))
    return Asked(accesses, user, password, offline=offline)


def parse_form(request: Request, service: str) -> Asked:
    """Return what a POST asks for.

    :raises TokenRequestInvalid: it is not for *service*, or does not parse.
    :raises RequestEntityTooLarge: the form is too large.
    """
    if request.mimetype != _FORM:
        raise TokenRequestInvalid(f"the body has to be {_FORM}")
    request.max_content_length = LARGEST
    values = _parsed(request.get_data(cache=False))
    _check_service(values, service)
    accesses = tuple(parse_scopes(values.get("scope", [])))
    offline = _one(values, "access_type") == "offline"
    kind = _one(values, "grant_type")
    if kind == "password":
        user, password = _one(values, "username"), _one(values, "password")
        if not user or not password:
            raise TokenRequestInvalid("username and password are required")
        return Asked(accesses, user, password, offline=offline, oauth=True)
    if kind == "refresh_token":
        refresh = _one(values, "refresh_token")
        if not refresh:
            raise TokenRequestInvalid("refresh_token is required")
        return Asked(accesses, refresh=refresh, offline=offline, oauth=True)
    raise TokenRequestInvalid("grant_type has to be password or refresh_token")


def _parsed(content: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            content.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_PARAMETERS,
        )
    except ValueError:
        raise TokenRequestInvalid("the parameters cannot be read") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _one(values: dict[str, list[str]], name: str) -> str:
    found = values.get(name, [""])
    if len(found) > 1:
        raise TokenRequestInvalid(f"{name} comes twice")
    return found[0]


def _check_service(values: dict[str, list[str]], service: str) -> None:
    """Check that a token is for us; who says nothing means us."""
    asked = _one(values, "service")
    if asked not in ("", service):
        raise TokenRequestInvalid(f"service {asked[:120]!r} is not known here")


def _parse_basic(header: str | None) -> tuple[str, str] | tuple[None, None]:
    if header is None:
        return None, None
    scheme, _, value = header.partition(" ")
    try:
        decoded = base64.b64decode(value.strip(" "), validate=True)
        user, colon, password = decoded.partition(b":")
        name = user.decode()
    except ValueError:
        raise BadCredentials from None
    if scheme.lower() != "basic" or not colon or not name:
        raise BadCredentials
    return name, password.decode("utf-8", "surrogateescape")
