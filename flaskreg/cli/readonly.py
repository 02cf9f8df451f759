"""``flaskreg readonly``: let a running registry only serve, and write again."""

from __future__ import annotations

import time

import click

from flaskreg.cli.storage import configuration_argument
from flaskreg.cli.storage import open_storage
from flaskreg.storage.readonly import MEMORY
from flaskreg.storage.readonly import ReadOnly


@click.command()
@click.argument("state", type=click.Choice(["on", "off", "status"]))
@configuration_argument
def readonly(state: str, configuration: str | None) -> None:
    """Refuse all writes at run time, or take them again, on all workers and nodes.

    A request that is being received when it is switched on is still answered; an upload
    goes on where it was after it is switched off.
    """
    with open_storage(configuration) as storage:
        switch = ReadOnly(storage.driver)
        if state != "status":
            switch.switch(on=state == "on")
            # When this ends, all have seen it.
            time.sleep(2 * MEMORY)
        click.echo("on" if switch.switched() else "off")
        if storage.settings.storage.maintenance.readonly.enabled:
            click.echo("storage.maintenance.readonly.enabled is set as well", err=True)
