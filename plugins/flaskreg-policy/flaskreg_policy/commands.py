"""``flaskreg apikey`` and ``flaskreg auth``."""

from __future__ import annotations

import datetime
import sys
import time

import click

from flaskreg.config import ConfigError
from flaskreg.config import load_settings
from flaskreg.config.durations import parse_duration
from flaskreg.errors import NameInvalid
from flaskreg.names import parse_name
from flaskreg_policy.apikeystore import ApiKeyStore
from flaskreg_policy.document import parse_user
from flaskreg_policy.globs import parse_glob
from flaskreg_policy.identity import Identity
from flaskreg_policy.identity import Limit
from flaskreg_policy.policy import ACTIONS
from flaskreg_policy.policy import ANONYMOUS
from flaskreg_policy.service import PolicySource
from flaskreg_policy.settings import KEY
from flaskreg_policy.settings import Parameters
from flaskreg_policy.settings import parse_parameters


_FILE = click.argument("file", required=False, type=click.Path(dir_okay=False))


@click.group()
def apikey() -> None:
    """Make, list and revoke API keys."""


@apikey.command()
@click.option("--user", required=True, help="Whose key it is, a user or a robot.")
@click.option("--name", required=True, help="What the key is for, as in lists.")
@click.option("--expires", help="A duration such as 720h, or a date: 2030-12-31.")
@click.option("--repository", "-r", multiple=True, help="A glob; again for more.")
@click.option(
    "--action",
    "-a",
    multiple=True,
    type=click.Choice(ACTIONS),
    help="What the key is good for; again for more. [default: all]",
)
@_FILE
def create(
    user: str,
    name: str,
    expires: str | None,
    repository: tuple[str, ...],
    action: tuple[str, ...],
    file: str | None,
) -> None:
    """Make a key and print it, this once: the store keeps a digest.

    FILE is the configuration. A key does what its user may do, or less.
    """
    limits = None
    try:
        if repository or action:
            globs = tuple(parse_glob(text) for text in repository or ("**",))
            limits = [Limit(globs, frozenset(action or ACTIONS))]
        parse_user(user)
        parse_user(name)
        until = None if expires is None else _parse_expiry(expires)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with _store(file).changing() as change:
        change.keys, made, text = change.keys.make(user, name, until, limits)
    click.echo(f"key {made.id} of {user}:", err=True)
    click.echo(text)


@apikey.command("list")
@_FILE
def list_keys(file: str | None) -> None:
    """List the keys: id, user, name, expiry, and what each is narrowed to."""
    for key in _store(file).keys().keys:
        limits = [
            f"{','.join(str(glob) for glob in limit.repositories)}"
            f":{','.join(sorted(limit.actions))}"
            for limit in key.limits or ()
        ]
        until = "never" if key.expires is None else _date(key.expires)
        state = " (expired)" if key.expired() else ""
        fields = (key.id, key.user, key.name, until + state, " ".join(limits))
        click.echo("\t".join(fields).rstrip())


@apikey.command()
@click.argument("key_id", metavar="ID")
@_FILE
def revoke(key_id: str, file: str | None) -> None:
    """Revoke the key with an ID; it is refused from now on, and its tokens are too."""
    with _store(file).changing() as change:
        if change.keys.find(key_id) is None:
            raise click.ClickException(f"there is no API key {key_id}")
        change.keys = change.keys.without(key_id)


@click.group()
def auth() -> None:
    """Explain the policy."""


@auth.command()
@click.argument("user")
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("repository")
@click.option("--groups", default="", help="Groups that a provider tells, by commas.")
@_FILE
def explain(
    user: str, action: str, repository: str, groups: str, file: str | None
) -> None:
    """Say whether USER may do ACTION on REPOSITORY, and which rule decides.

    USER is a name, or anonymous. FILE is the configuration. The exit status is 0 for
    what is allowed and 1 for what is not.
    """
    try:
        parse_name(repository)
    except NameInvalid:
        raise click.UsageError(f"{repository} is no repository name") from None
    named = frozenset(group for group in groups.split(",") if group)
    identity = Identity()
    if user != ANONYMOUS:
        identity = Identity(user, named, "explain")
    policy = PolicySource(_parameters(file)).policy()
    decision = policy.explain(identity, action, repository)
    verdict = "allowed" if decision.allowed else "denied"
    click.echo(f"{verdict}: {user} {action} {repository}: {decision}")
    sys.exit(0 if decision.allowed else 1)


def _parameters(file: str | None) -> Parameters:
    settings = load_settings(file)
    if settings.auth.controller != "policy":
        raise ConfigError(f"auth: is {settings.auth.controller}, and not policy")
    return parse_parameters(settings.auth.parameters)


def _store(file: str | None) -> ApiKeyStore:
    path = _parameters(file).settings.apikeys
    if not path:
        raise ConfigError(f"{KEY}.apikeys: is required: the file of API keys")
    return ApiKeyStore(path)


def _parse_expiry(text: str) -> float:
    try:
        day = datetime.datetime.fromisoformat(text)
    except ValueError:
        seconds = parse_duration(text)
        if seconds <= 0:
            raise ValueError(f"{text} is over already") from None
        return time.time() + seconds
    if day.tzinfo is None:
        day = day.replace(tzinfo=datetime.UTC)
    if day.timestamp() <= time.time():
        raise ValueError(f"{text} is over already")
    return day.timestamp()


def _date(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
