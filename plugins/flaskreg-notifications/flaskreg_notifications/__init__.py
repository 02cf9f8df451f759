"""Events, sent to the endpoints of ``notifications`` from a durable outbox."""

from __future__ import annotations

from collections.abc import Mapping

import click

from flaskreg import hookimpl
from flaskreg.config import Settings
from flaskreg.events import EventSink
from flaskreg.measurement import Meter
from flaskreg_notifications.commands import events
from flaskreg_notifications.endpoints import make_endpoints
from flaskreg_notifications.endpoints import outbox_folder
from flaskreg_notifications.meter import OutboxMeter
from flaskreg_notifications.sink import NotificationSink


@hookimpl
def flaskreg_register_sinks(settings: Settings) -> Mapping[str, EventSink]:
    """Offer the outbox, when any endpoint is configured."""
    endpoints = make_endpoints(settings)
    if not endpoints:
        return {}
    section = settings.notifications
    sink = NotificationSink(
        outbox_folder(settings),
        endpoints,
        include_references=section.events.includereferences,
        address=settings.http.addr,
        max_age=section.outbox.maxage,
        max_events=section.outbox.maxevents,
    )
    return {"notifications": sink}


@hookimpl
def flaskreg_register_meters(settings: Settings) -> Mapping[str, Meter]:
    """Offer the numbers of the outbox."""
    endpoints = make_endpoints(settings)
    if not endpoints:
        return {}
    names = [endpoint.name for endpoint in endpoints]
    return {"notifications": OutboxMeter(outbox_folder(settings), names)}


@hookimpl
def flaskreg_register_commands() -> Mapping[str, click.Command]:
    """Offer ``flaskreg events``."""
    return {"events": events}
