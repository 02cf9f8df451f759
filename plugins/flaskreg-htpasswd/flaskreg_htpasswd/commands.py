"""``flaskreg user``: who is in the password file."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from flaskreg.config import ConfigError
from flaskreg.config import load_settings
from flaskreg_htpasswd import editor
from flaskreg_htpasswd.hashes import COST
from flaskreg_htpasswd.hashes import cost_of
from flaskreg_htpasswd.hashes import make_hash
from flaskreg_htpasswd.table import TableFile


#: the parameter that names a password file, by the controller.
_PATHS = {"htpasswd": "path", "policy": "htpasswd"}

Command = Callable[..., None]


def _with_file(command: Command) -> Command:
    """Give a command the options that say which file."""
    config = click.option("--config", help="The configuration that names the file.")
    file = click.option("--file", help="The password file.")
    return file(config(command))


def _with_password(command: Command) -> Command:
    """Give a command the options that say which password."""
    stdin = click.option(
        "--password-stdin", is_flag=True, help="Read the password's line from there."
    )
    cost = click.option(
        "--cost",
        type=click.IntRange(4, 31),
        default=COST,
        show_default=True,
        help="Of bcrypt; one more takes twice as long.",
    )
    return stdin(cost(command))


@click.group()
def user() -> None:
    """Edit the password file of htpasswd.

    Without --file it is the one of the configuration, which --config names, or else
    REGISTRY_CONFIGURATION_PATH. A change applies to running servers at once.
    """


@user.command()
@click.argument("name")
@_with_password
@_with_file
def add(
    name: str, file: str | None, config: str | None, password_stdin: bool, cost: int
) -> None:
    """Add user NAME; a missing file is made."""
    encoded, path = _encode(name), _find(file, config)

    def change(lines: list[bytes]) -> list[bytes]:
        if encoded in map(editor.user_of, lines):
            raise ConfigError(f"{path}: user {name} is there already")
        return editor.with_user(lines, encoded, stored)

    stored = _make_hash(password_stdin, cost)
    editor.edit(path, change, create=True)


@user.command()
@click.argument("name")
@_with_password
@_with_file
def passwd(
    name: str, file: str | None, config: str | None, password_stdin: bool, cost: int
) -> None:
    """Give user NAME another password."""
    encoded, path = _encode(name), _find(file, config)

    def change(lines: list[bytes]) -> list[bytes]:
        _find_user(lines, name, path)
        return editor.with_user(lines, encoded, stored)

    stored = _make_hash(password_stdin, cost)
    editor.edit(path, change)


@user.command()
@click.argument("name")
@_with_file
def delete(name: str, file: str | None, config: str | None) -> None:
    """Delete user NAME."""
    path = _find(file, config)

    def change(lines: list[bytes]) -> list[bytes]:
        _find_user(lines, name, path)
        return editor.without_user(lines, _encode(name))

    editor.edit(path, change)


@user.command("list")
@_with_file
def list_users(file: str | None, config: str | None) -> None:
    """List the users, and say who cannot log in."""
    table = TableFile(_find(file, config)).read()
    for name, stored in table.hashes.items():
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        note = "" if cost_of(stored) is not None else "\t(not bcrypt: cannot log in)"
        click.echo(f"{shown}{note}")


def _find(file: str | None, config: str | None) -> str:
    """Return the path of the password file."""
    if file:
        return file
    auth = load_settings(config).auth
    path = auth.parameters.get(_PATHS.get(auth.controller, ""))
    if not isinstance(path, str) or not path:
        raise ConfigError(
            f"auth: {auth.controller} of the configuration has no password file: "
            "use --file"
        )
    return path


def _find_user(lines: list[bytes], name: str, path: str) -> None:
    if _encode(name) not in map(editor.user_of, lines):
        raise ConfigError(f"{path}: there is no user {name}")


def _encode(name: str) -> bytes:
    wrong = ":" in name or name.startswith("#") or name != name.strip()
    if not name or wrong or not name.isprintable():
        raise ConfigError(f"user name {name!r}: must be text without a colon")
    return name.encode()


def _make_hash(from_stdin: bool, cost: int) -> bytes:
    """Ask for a password and return its hash."""
    if from_stdin:
        password = sys.stdin.buffer.readline().rstrip(b"\r\n")
    else:
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        password = typed.encode()
    try:
        return make_hash(password, cost)
    except ValueError as error:
        raise ConfigError(str(error)) from None
