"""``/debug/vars``: what the server counts, as JSON in distribution's form.

Source: Go's ``expvar`` as distribution publishes it. What distribution tells there of
its configuration is left out where it holds secrets: headers of endpoints, and redis.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from flaskreg.config import Settings
from flaskreg.config.notifications import Endpoint
from flaskreg.health.pages import Page
from flaskreg.measurement import Measurement
from flaskreg.measurement import Meter
from flaskreg.routes.answer import json_answer
from flaskreg.routes.answer import status_line


#: nanoseconds of a second, in which Go writes durations.
_NANOSECONDS = 1_000_000_000

_EVENTS = "registry_notifications_events_total"
_STATUSES = "registry_notifications_status_total"
_PENDING = "registry_notifications_pending_total"

#: what is told of a cache, by the metric that counts it.
_PROXY = {
    "registry_proxy_requests_total": "Requests",
    "registry_proxy_hits_total": "Hits",
    "registry_proxy_misses_total": "Misses",
    "registry_proxy_pulled_bytes_total": "BytesPulled",
    "registry_proxy_pushed_bytes_total": "BytesPushed",
}


def make_vars_page(settings: Settings, meters: Sequence[Meter]) -> Page:
    """Return the page.

    :param settings: of the application.
    :param meters: asked when the page is read.
    """

    def page(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        measured = [each for meter in meters for each in meter()]
        answer = json_answer(document(settings, measured), status=200)
        start_response(status_line(answer.status), answer.headers)
        assert isinstance(answer.body, bytes)
        return (b"",) if environ["REQUEST_METHOD"] == "HEAD" else (answer.body,)

    return page


def document(
    settings: Settings, measured: Sequence[Measurement]
) -> Mapping[str, object]:
    """Return what the page tells; ``flaskreg`` holds what distribution has no name for.

    :param measured: what the meters told.
    """
    registry: dict[str, object] = {}
    endpoints = [it for it in settings.notifications.endpoints if not it.disabled]
    if endpoints:
        told = [_endpoint(each, measured) for each in endpoints]
        registry["notifications"] = {"endpoints": told}
    if settings.proxy.configured:
        registry["proxy"] = {
            f"{kind}s": _cache(kind, measured) for kind in ("blob", "manifest")
        }
    ours: dict[str, object] = {}
    for each in measured:
        if each.name.startswith("flaskreg_"):
            _put(ours, each)
    return {"cmdline": sys.argv, "registry": registry, "flaskreg": ours}


def _endpoint(endpoint: Endpoint, measured: Sequence[Measurement]) -> dict[str, object]:
    of = [it for it in measured if it.labels.get("endpoint") == endpoint.name]
    return {
        "name": endpoint.name,
        "url": _without_password(endpoint.url),
        "Timeout": int(endpoint.timeout * _NANOSECONDS),
        "Threshold": endpoint.threshold,
        "Backoff": int(endpoint.backoff * _NANOSECONDS),
        "IgnoredMediaTypes": endpoint.ignoredmediatypes,
        "Ignore": {
            "MediaTypes": endpoint.ignore.mediatypes,
            "Actions": endpoint.ignore.actions,
        },
        "Metrics": {
            "Pending": sum(int(it.value) for it in of if it.name == _PENDING),
            **{it.labels["type"]: int(it.value) for it in of if it.name == _EVENTS},
            "Statuses": {
                it.labels["code"]: int(it.value) for it in of if it.name == _STATUSES
            },
        },
    }


def _cache(kind: str, measured: Sequence[Measurement]) -> dict[str, int]:
    told = dict.fromkeys(_PROXY.values(), 0)
    for each in measured:
        if each.name in _PROXY and each.labels.get("type") == kind:
            told[_PROXY[each.name]] += int(each.value)
    return told


def _put(section: dict[str, object], measured: Measurement) -> None:
    """Put a number in its place: below its name, by the values of its labels."""
    path = (measured.name.removeprefix("flaskreg_"), *measured.labels.values())
    for part in path[:-1]:
        below = section.setdefault(part, {})
        assert isinstance(below, dict)
        section = below
    section[path[-1]] = measured.value


def _without_password(url: str) -> str:
    scheme, found, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
