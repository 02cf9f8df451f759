"""The access controller ``htpasswd``: whoever is in a password file may do all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from flaskreg import hookimpl
from flaskreg.access import AccessController
from flaskreg.access import AccessControllerFactory
from flaskreg.config import ConfigError
from flaskreg_htpasswd.commands import user
from flaskreg_htpasswd.controller import HtpasswdAccess as HtpasswdAccess
from flaskreg_htpasswd.passwords import PasswordFile as PasswordFile
from flaskreg_htpasswd.provision import provision


if TYPE_CHECKING:
    import click


KEYS = ("realm", "path")


def make_htpasswd(parameters: Mapping[str, Any]) -> AccessController:
    """Make the controller from its section of the configuration.

    :raises ConfigError: a parameter is unknown, missing or wrong, or the file is.
    """
    for key in parameters.keys() - set(KEYS):
        raise ConfigError.unknown(
            f"auth.htpasswd.{key}", [f"auth.htpasswd.{each}" for each in KEYS]
        )
    realm, path = parameters.get("realm"), parameters.get("path")
    if not isinstance(realm, str) or not realm.isprintable() or not realm.isascii():
        raise ConfigError.wrong("auth.htpasswd.realm", realm, "must be text in ASCII")
    if not realm:
        raise ConfigError.wrong("auth.htpasswd.realm", realm, "must not be empty")
    if not isinstance(path, str) or not path:
        raise ConfigError.wrong("auth.htpasswd.path", path, "must name a file")
    passwords = PasswordFile(path, create=provision)
    if os.path.exists(path):
        passwords.file.read()
    return HtpasswdAccess(realm, passwords)


@hookimpl
def flaskreg_register_access_controllers() -> Mapping[str, AccessControllerFactory]:
    """Offer the controller under its name."""
    return {"htpasswd": make_htpasswd}


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg user``."""
    return {"user": user}
