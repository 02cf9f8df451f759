"""``flaskreg serve``."""

from __future__ import annotations

import os
import sys

import click

from flaskreg.config import load_settings


@click.command()
@click.argument(
    "configuration", required=False, type=click.Path(dir_okay=False), metavar="[FILE]"
)
@click.argument("gunicorn", nargs=-1, metavar="[-- GUNICORN OPTIONS]")
def serve(configuration: str | None, gunicorn: tuple[str, ...]) -> None:
    """Run the registry under gunicorn, as configured in FILE.

    FILE is distribution's config.yml; without it, the file that
    REGISTRY_CONFIGURATION_PATH names, or none. What follows "--" goes to gunicorn.
    """
    environ = dict(os.environ)
    if configuration is not None:
        environ["REGISTRY_CONFIGURATION_PATH"] = configuration
    load_settings(environ=environ)
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "python:flaskreg.gunicornconf",
        *gunicorn,
        "flaskreg.serving:make_app()",
    ]
    os.execve(sys.executable, command, environ)
