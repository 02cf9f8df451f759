"""The command ``flaskreg`` and what belongs to all of its parts."""

from __future__ import annotations

import sys

import click

from flaskreg.cli.config import config
from flaskreg.cli.plugins import plugins
from flaskreg.cli.serve import serve
from flaskreg.config import ConfigError
from flaskreg.plugins import PluginError
from flaskreg.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-v", "--version", prog_name="flaskreg")
def group() -> None:
    """An OCI and Docker container registry whose parts are plugins."""


group.add_command(serve)
group.add_command(config)
group.add_command(plugins)


def main() -> None:
    """Run the command; what is wrong is told in one line, with status 2."""
    try:
        group()
    except (ConfigError, PluginError) as error:
        sys.stderr.write(f"flaskreg: {error}\n")
        sys.exit(2)
