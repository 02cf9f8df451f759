"""Users and groups of an LDAP directory, for flaskreg's policy.

The policy finds the directory by its own entry point, ``flaskreg_policy.identities``;
here is the command that tells whether it is configured right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flaskreg import hookimpl
from flaskreg_ldap.commands import ldap_command


if TYPE_CHECKING:
    import click


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg ldap``."""
    return {"ldap": ldap_command}
