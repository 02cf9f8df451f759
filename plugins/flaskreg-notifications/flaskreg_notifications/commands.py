"""``flaskreg events``: what waits, what is dead, and how to send it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from flaskreg.config import ConfigError
from flaskreg.config import load_settings
from flaskreg_notifications.endpoints import make_endpoints
from flaskreg_notifications.endpoints import outbox_folder
from flaskreg_notifications.outbox import FILE
from flaskreg_notifications.outbox import Outbox
from flaskreg_notifications.outbox import Waiting


_FILE = click.argument(
    "configuration", required=False, type=click.Path(dir_okay=False), metavar="[FILE]"
)
_ENDPOINT = click.option("--endpoint", help="Only those of one endpoint.")


@click.group()
def events() -> None:
    """Look at the events that wait to be sent, and at those that are dead letters.

    FILE is the configuration of the registry, which may run meanwhile.
    """


@events.command(name="list")
@_FILE
@_ENDPOINT
@click.option("--dead", is_flag=True, help="Dead letters instead of what waits.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_events(
    configuration: str | None,
    endpoint: str | None,
    *,
    dead: bool,
    as_json: bool,
    limit: int,
) -> None:
    """List events, the oldest first."""
    table = Table("id", "endpoint", "time", "event", "tries", "error", box=None)
    with _opened(configuration) as outbox:
        found = outbox.iter_events("dead" if dead else "waiting", endpoint)
        for event, _ in zip(found, range(limit), strict=False):
            if as_json:
                click.echo(json.dumps(_members(event)))
            else:
                table.add_row(*_row(event))
    if table.row_count:
        Console(highlight=False).print(table)


@events.command()
@_FILE
def stats(configuration: str | None) -> None:
    """Tell how much waits for each endpoint, and what was sent."""
    settings = load_settings(configuration)
    table = Table("endpoint", "waiting", "events", "sent", "failed", box=None)
    with _opened(configuration) as outbox:
        for endpoint in make_endpoints(settings):
            counts = outbox.counts(endpoint.name)
            failed = counts.get("Failures", 0) + counts.get("Errors", 0)
            numbers = (
                outbox.pending(endpoint.name),
                counts.get("Events", 0),
                counts.get("Successes", 0),
                failed,
            )
            table.add_row(endpoint.name, *map(str, numbers))
    Console(highlight=False).print(table)


@events.command()
@_FILE
@_ENDPOINT
@click.option("--id", "event_id", help="Only the event with this id.")
def replay(
    configuration: str | None, endpoint: str | None, event_id: str | None
) -> None:
    """Send dead letters again, behind all that waits."""
    with _opened(configuration) as outbox:
        count = outbox.replay(endpoint, event_id)
    click.echo(f"{count} events wait again")


@events.command()
@click.argument("event_id")
@_FILE
def bury(event_id: str, configuration: str | None) -> None:
    """Make an event a dead letter, so that those behind it go on."""
    with _opened(configuration) as outbox:
        count = outbox.bury(event_id)
    click.echo(f"{count} events became dead letters")


@contextmanager
def _opened(configuration: str | None) -> Iterator[Outbox]:
    """Open the outbox of a configuration.

    :raises ConfigError: there is none yet.
    """
    folder = outbox_folder(load_settings(configuration))
    if not (folder / FILE).exists():
        raise ConfigError(f"there is no outbox in {folder}")
    outbox = Outbox(folder)
    try:
        yield outbox
    finally:
        outbox.close()


def _members(event: Waiting) -> dict[str, object]:
    return {
        "endpoint": event.endpoint,
        "attempts": event.attempts,
        "error": event.error,
        "event": event.document,
    }


def _row(event: Waiting) -> tuple[str, ...]:
    target = event.document["target"]
    what = target.get("tag") or target.get("digest", "")[:19]
    time = datetime.fromtimestamp(event.created, UTC).isoformat(" ", "seconds")
    return (
        event.id,
        event.endpoint,
        time,
        f"{event.document['action']} {event.repository} {what}",
        str(event.attempts),
        event.error,
    )
