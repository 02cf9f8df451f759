"""The parameters of ``auth.policy``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from typing import Any

from pydantic import AfterValidator
from pydantic import BeforeValidator
from pydantic import Field

from flaskreg.config import ConfigError
from flaskreg.config.section import Section
from flaskreg.config.section import WrittenSeconds
from flaskreg_policy.certificates import CertificateSettings
from flaskreg_policy.document import KEYS
from flaskreg_policy.identity import IdentitySource
from flaskreg_policy.oidc import IssuerSettings
from flaskreg_policy.sources import make_sources
from flaskreg_policy.validate import validated


KEY = "auth.policy"


def _quotable(text: str) -> str:
    if not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError("must be text without quotes and backslashes")
    return text


Quotable = Annotated[str, AfterValidator(_quotable)]


class PolicySettings(Section):
    """All parameters but the policy itself and those of identity plugins."""

    path: str = Field(
        default="",
        description="The policy file; unset: the policy stands beside this key.",
    )
    realm: Quotable = Field(
        default="",
        description="The URL of the token endpoint; unset: `/auth/token` of the host.",
    )
    service: Quotable = Field(
        default="flaskreg",
        description="The service, which is the audience of tokens.",
    )
    issuer: str = Field(
        default="flaskreg",
        description="The issuer of tokens.",
    )
    keys: str = Field(
        default="",
        description="The folder of the signing keys, or a PEM file of one; "
        "unset: `keys` beside `path`.",
    )
    lifetime: WrittenSeconds = Field(
        default=3600.0,
        ge=60,
        le=7 * 24 * 3600,
        description="How long a token is good for.",
    )
    htpasswd: str = Field(
        default="",
        description="The password file; unset: none.",
    )
    apikeys: str = Field(
        default="",
        description="The file of API keys; unset: none.",
    )
    oidc: Annotated[
        list[IssuerSettings],
        BeforeValidator(lambda it: [it] if isinstance(it, Mapping) else it),
    ] = Field(
        default_factory=list,
        description="The issuers of OpenID Connect whose tokens are identities.",
    )
    mtls: CertificateSettings | None = Field(
        default=None,
        description="How client certificates name users; unset: they name nobody.",
    )


@dataclass(frozen=True)
class Parameters:
    """What the configuration says, read and checked.

    :param settings: the parameters that are always there.
    :param inline: the policy, when there is no file for it.
    :param sources: the further sources of identities.
    """

    settings: PolicySettings
    inline: Mapping[str, Any]
    sources: tuple[IdentitySource, ...]


def parse_parameters(parameters: Mapping[str, Any]) -> Parameters:
    """Return the parameters of ``auth.policy``, checked.

    :raises ConfigError: one of them is wrong, missing or unknown.
    """
    own = {
        name: parameters[name]
        for name in PolicySettings.model_fields.keys() & parameters
    }
    inline = {name: parameters[name] for name in KEYS if name in parameters}
    rest = {
        name: value
        for name, value in parameters.items()
        if name not in own and name not in inline
    }
    if own.get("mtls", ...) is None:
        own["mtls"] = {}
    settings = validated(PolicySettings, own, KEY)
    sources = make_sources(rest, KEY, [*PolicySettings.model_fields, *KEYS])
    if settings.path and inline:
        names = ", ".join(f"{KEY}.{name}" for name in inline)
        raise ConfigError(f"{KEY}.path: a policy file and {names} do not go together")
    if not settings.path and "rules" not in inline:
        raise ConfigError(f"{KEY}: path of a policy file, or rules, is required")
    if not settings.keys:
        settings = settings.model_copy(update={"keys": _keys_of(settings)})
    issuers = [each.issuer for each in settings.oidc]
    if len({settings.issuer, *issuers}) <= len(issuers):
        raise ConfigError(f"{KEY}.oidc: an issuer is named twice")
    return Parameters(settings, inline, sources)


def _keys_of(settings: PolicySettings) -> str:
    if not settings.path:
        raise ConfigError(
            f"{KEY}.keys: is required without {KEY}.path: the folder of signing keys"
        )
    return os.path.join(os.path.dirname(settings.path) or ".", "keys")
