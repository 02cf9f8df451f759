"""The parameters of ``auth.token``, which are those of distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields
from typing import Any

from flaskreg.config import ConfigError
from flaskreg_token.algorithms import ALGORITHMS


KEY = "auth.token"

_REQUIRED = ("realm", "service", "issuer")


@dataclass(frozen=True)
class TokenSettings:
    """What the configuration says, checked; each field is a parameter."""

    realm: str
    service: str
    issuer: str
    rootcertbundle: str = ""
    jwks: str = ""
    signingalgorithms: tuple[str, ...] = ALGORITHMS
    autoredirect: bool = False
    autoredirectpath: str = "/auth/token"


#: the names of all parameters.
PARAMETERS = tuple(each.name for each in fields(TokenSettings))


def parse_settings(parameters: Mapping[str, Any]) -> TokenSettings:
    """Return the parameters, checked.

    :raises ConfigError: one is unknown, missing or wrong.
    """
    for key in parameters.keys() - set(PARAMETERS):
        raise ConfigError.unknown(f"{KEY}.{key}", [f"{KEY}.{it}" for it in PARAMETERS])
    given = {key: value for key, value in parameters.items() if value is not None}
    texts = {key: _text(given, key) for key in _REQUIRED}
    for key in ("rootcertbundle", "jwks", "autoredirectpath"):
        if given.get(key, "") != "":
            texts[key] = _text(given, key)
    settings = TokenSettings(
        **texts,
        signingalgorithms=_algorithms(given.get("signingalgorithms", [])),
        autoredirect=_flag(given.get("autoredirect", False)),
    )
    if not settings.rootcertbundle and not settings.jwks:
        raise ConfigError(f"{KEY}: rootcertbundle or jwks is required, or both")
    if settings.autoredirect and not settings.autoredirectpath.startswith("/"):
        raise ConfigError.wrong(
            f"{KEY}.autoredirectpath",
            settings.autoredirectpath,
            "must begin with a slash",
        )
    return settings


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or (not value and key in _REQUIRED):
        raise ConfigError.wrong(f"{KEY}.{key}", value, "must be text")
    told = key in ("realm", "service", "autoredirectpath")
    if told and not (value.isascii() and value.isprintable()):
        raise ConfigError.wrong(f"{KEY}.{key}", value, "must be text in ASCII")
    return value


def _algorithms(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or any(it not in ALGORITHMS for it in value):
        raise ConfigError.wrong(
            f"{KEY}.signingalgorithms",
            value,
            f"must be a list of some of {', '.join(ALGORITHMS)}",
        )
    return tuple(value) or ALGORITHMS


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError.wrong(f"{KEY}.autoredirect", value, "must be true or false")
    return value
