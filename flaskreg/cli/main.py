"""The command ``flaskreg`` and what belongs to all of its parts."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from flaskreg.cli.config import config
from flaskreg.cli.doctor import doctor
from flaskreg.cli.fsck import fsck
from flaskreg.cli.garbage_collect import garbage_collect
from flaskreg.cli.plugins import plugins
from flaskreg.cli.readonly import readonly
from flaskreg.cli.serve import serve
from flaskreg.cli.transfer import export
from flaskreg.cli.transfer import import_
from flaskreg.config import ConfigError
from flaskreg.driver import DriverError
from flaskreg.plugins import PluginError
from flaskreg.plugins import collect
from flaskreg.plugins import make_plugin_manager
from flaskreg.version import __version__


class Commands(click.Group):
    """The commands of the core, and those that plugins offer, found when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *self._offered()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; those of the core go first."""
        command = super().get_command(ctx, cmd_name)
        return command or self._offered().get(cmd_name)

    def _offered(self) -> Mapping[str, click.Command]:
        return collect(make_plugin_manager(), "flaskreg_register_commands")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-v", "--version", prog_name="flaskreg")
def group() -> None:
    """An OCI and Docker container registry whose parts are plugins."""


group.add_command(serve)
group.add_command(config)
group.add_command(plugins)
group.add_command(garbage_collect)
group.add_command(fsck)
group.add_command(readonly)
group.add_command(import_)
group.add_command(export)
group.add_command(doctor)


def main() -> None:
    """Run the command; what is wrong is told in one line, with status 2."""
    try:
        group()
    except (ConfigError, PluginError) as error:
        sys.stderr.write(f"flaskreg: {error}\n")
        sys.exit(2)
    except DriverError as error:
        sys.stderr.write(f"flaskreg: storage: {error}\n")
        sys.exit(1)
