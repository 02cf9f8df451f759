"""``flaskreg keys``: the keys that sign tokens."""

from __future__ import annotations

import json

import click

from flaskreg.config import ConfigError
from flaskreg.errors import Unavailable
from flaskreg_token.keys import KeyRing


_FOLDER = click.argument("folder", type=click.Path(file_okay=False))


@click.group()
def keys() -> None:
    """List, rotate and publish the keys that sign tokens.

    FOLDER is that of the configuration, such as auth.policy.keys.
    """


@keys.command("list")
@_FOLDER
def list_keys(folder: str) -> None:
    """List the keys from the oldest to the newest, which signs."""
    ring = KeyRing(folder)
    for key in ring.all():
        click.echo(f"{key.path}\t{key.algorithm}\t{key.kid}")


@keys.command()
@_FOLDER
def rotate(folder: str) -> None:
    """Make a key that signs from now on.

    Tokens of the older keys stay good; delete a file to end that.
    """
    try:
        key = KeyRing(folder).rotate()
    except Unavailable as error:
        raise ConfigError(f"{folder}: {error.detail}") from None
    click.echo(f"{key.path}\t{key.algorithm}\t{key.kid}")


@keys.command()
@_FOLDER
def jwks(folder: str) -> None:
    """Print the public keys as a JWKS, as other verifiers read it."""
    try:
        click.echo(json.dumps(KeyRing(folder).jwks(), indent=2))
    except Unavailable as error:
        raise ConfigError(f"{folder}: {error.detail}") from None
