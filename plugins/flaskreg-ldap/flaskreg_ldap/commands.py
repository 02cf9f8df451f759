"""``flaskreg ldap``: whether the directory is configured right."""

from __future__ import annotations

import click
from flaskreg_policy.validate import validated

from flaskreg.config import ConfigError
from flaskreg.config import load_settings
from flaskreg_ldap.directory import Directory
from flaskreg_ldap.directory import DirectoryError
from flaskreg_ldap.settings import LdapSettings


KEY = "auth.policy.ldap"


@click.group("ldap")
def ldap_command() -> None:
    """Look into the directory of users."""


@ldap_command.command()
@click.argument("user")
@click.argument("file", required=False, type=click.Path(dir_okay=False))
def find(user: str, file: str | None) -> None:
    """Find USER as a log-in would, and print the entry and its groups.

    FILE is the configuration.
    """
    auth = load_settings(file).auth
    if auth.controller != "policy" or "ldap" not in auth.parameters:
        raise ConfigError(f"{KEY}: is not configured")
    directory = Directory(validated(LdapSettings, auth.parameters["ldap"], KEY))
    try:
        with directory.connect() as connection:
            entry = directory.find(connection, user)
            if entry is None:
                raise click.ClickException(f"there is no one user {user}")
            groups = directory.groups(connection, entry)
    except DirectoryError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"user: {entry.name}\nentry: {entry.dn}")
    for group in sorted(groups):
        click.echo(f"group: {group}")
