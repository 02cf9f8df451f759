"""``flaskreg config``: what is configured, and whether it is right."""

from __future__ import annotations

import click

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.config.reference import render_reference
from flaskreg.config.show import render_settings


@click.group()
def config() -> None:
    """Check, show and explain the configuration."""


@config.command()
@click.argument("file", required=False)
def check(file: str | None) -> None:
    """Say whether the configuration in FILE and the environment is right.

    Without FILE, REGISTRY_CONFIGURATION_PATH names it; without either the built-in
    configuration is checked.
    """
    settings = _load(file)
    click.echo("ok")
    for line in settings.warnings:
        click.echo(f"warning: {line}", err=True)


@config.command()
@click.argument("file", required=False)
@click.option(
    "--origin/--no-origin",
    default=True,
    help="Say where each value came from.",
    show_default=True,
)
def show(file: str | None, origin: bool) -> None:
    """Print what holds in the end, with secrets masked."""
    click.echo(render_settings(_load(file), origins=origin), nl=False)


@config.command()
def reference() -> None:
    """Print the reference of every key, in Markdown."""
    click.echo(render_reference(), nl=False)


def _load(file: str | None) -> Settings:
    try:
        return load_settings(file)
    except ConfigError as error:
        click.echo(f"configuration error: {error}", err=True)
        raise SystemExit(2) from None
