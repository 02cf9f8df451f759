"""The access controller ``token``, and the library that issues tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from flaskreg import hookimpl
from flaskreg.access import AccessController
from flaskreg.access import AccessControllerFactory
from flaskreg_token.challenge import Challenger
from flaskreg_token.commands import keys
from flaskreg_token.controller import TokenAccess as TokenAccess
from flaskreg_token.settings import parse_settings
from flaskreg_token.sources import KeyFiles
from flaskreg_token.verifier import TokenVerifier as TokenVerifier


if TYPE_CHECKING:
    import click


def make_token(parameters: Mapping[str, Any]) -> AccessController:
    """Make the controller from its section of the configuration.

    :raises ConfigError: a parameter is unknown, missing or wrong, or a file is.
    """
    settings = parse_settings(parameters)
    verifier = TokenVerifier(
        KeyFiles(settings.rootcertbundle, settings.jwks),
        settings.issuer,
        settings.service,
        settings.signingalgorithms,
    )
    return TokenAccess(verifier, Challenger(settings))


@hookimpl
def flaskreg_register_access_controllers() -> Mapping[str, AccessControllerFactory]:
    """Offer the controller under its name."""
    return {"token": make_token}


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg keys``."""
    return {"keys": keys}
