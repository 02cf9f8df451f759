"""The access controller ``policy``: one policy for users, groups, robots and rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from flaskreg import hookimpl
from flaskreg.access import AccessController
from flaskreg.access import AccessControllerFactory
from flaskreg.config import Settings
from flaskreg_policy.commands import apikey
from flaskreg_policy.commands import auth
from flaskreg_policy.controller import PolicyController as PolicyController
from flaskreg_policy.identity import Identity as Identity
from flaskreg_policy.identity import IdentitySource as IdentitySource
from flaskreg_policy.identity import IdentitySourceFactory as IdentitySourceFactory
from flaskreg_policy.identity import WrongCredentials as WrongCredentials
from flaskreg_policy.origin import PREFIX
from flaskreg_policy.service import PolicyService as PolicyService


if TYPE_CHECKING:
    import click
    from flask import Blueprint


NAME = "policy"


def make_controller(parameters: Mapping[str, Any]) -> AccessController:
    """Make the controller from its section of the configuration.

    :raises ConfigError: a parameter is unknown, missing or wrong.
    """
    return PolicyController(PolicyService(parameters))


@hookimpl
def flaskreg_register_access_controllers() -> Mapping[str, AccessControllerFactory]:
    """Offer the controller under its name."""
    return {NAME: make_controller}


@hookimpl
def flaskreg_make_access_controller(settings: Settings) -> AccessController | None:
    """Make the controller, which has to know under which address clients reach it."""
    if settings.auth.controller != NAME:
        return None
    return PolicyController(PolicyService(settings.auth.parameters, settings))


@hookimpl
def flaskreg_register_blueprints(
    settings: Settings, controller: AccessController
) -> Mapping[str, Blueprint]:
    """Offer the token endpoint, when the policy is configured."""
    if settings.auth.controller != NAME:
        return {}
    # A plugin may have wrapped the controller; then the endpoint has its own service.
    service = getattr(controller, "service", None)
    if not isinstance(service, PolicyService):
        service = PolicyService(settings.auth.parameters, settings)
    return {PREFIX: service.blueprint()}


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg apikey`` and ``flaskreg auth``."""
    return {"apikey": apikey, "auth": auth}
