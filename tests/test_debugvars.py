"""``/debug/vars`` has distribution's form, and none of the secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import Client

from flaskreg.config import Settings
from flaskreg.debugvars import make_vars_page
from flaskreg.measurement import Measurement


def settings_of(**sections: Any) -> Settings:
    """Return settings with some sections."""
    return Settings.model_validate({"storage": {"driver": "inmemory"}, **sections})


def told(settings: Settings, *measured: Measurement) -> Any:
    """Return the page of some measurements."""
    page = make_vars_page(settings, [lambda: measured])
    return Client(page).get("/debug/vars").json


def of_endpoint(name: str, value: float, **labels: str) -> Measurement:
    """Return a number of an endpoint."""
    return Measurement(
        f"registry_notifications_{name}_total", "counter", "", value, labels
    )


def test_the_least() -> None:
    page = told(settings_of())
    assert page["registry"] == {}
    assert page["flaskreg"] == {}
    assert isinstance(page["cmdline"], list)


def test_endpoints() -> None:
    """With durations in nanoseconds, and the numbers of each."""
    endpoints = [
        {
            "name": "a",
            "url": "https://me:secret@example.com/hook?key=secret",
            "headers": {"Authorization": ["Bearer secret"]},
            "secret": "secret",
            "timeout": 2.5,
            "ignore": {"actions": ["pull"]},
        },
        {"name": "b", "url": "http://b/"},
        {"name": "off", "url": "http://c/", "disabled": True},
    ]
    page = told(
        settings_of(notifications={"endpoints": endpoints}),
        of_endpoint("events", 5, type="Events", endpoint="a"),
        of_endpoint("events", 3, type="Successes", endpoint="a"),
        of_endpoint("status", 3, code="202 Accepted", endpoint="a"),
        of_endpoint("pending", 2, endpoint="a"),
        of_endpoint("pending", 7, endpoint="b"),
    )
    first, second = page["registry"]["notifications"]["endpoints"]
    assert first["name"] == "a"
    assert first["url"] == "https://example.com/hook"
    assert first["Timeout"] == 2_500_000_000
    assert first["Ignore"] == {"MediaTypes": [], "Actions": ["pull"]}
    assert first["Metrics"] == {
        "Pending": 2,
        "Events": 5,
        "Successes": 3,
        "Statuses": {"202 Accepted": 3},
    }
    assert second["Metrics"] == {"Pending": 7, "Statuses": {}}
    assert "secret" not in json.dumps(page)


def test_a_cache() -> None:
    page = told(
        settings_of(proxy={"remoteurl": "https://me:secret@example.com"}),
        Measurement("registry_proxy_hits_total", "counter", "", 4, {"type": "blob"}),
    )
    nothing = dict.fromkeys(
        ["Requests", "Hits", "Misses", "BytesPulled", "BytesPushed"], 0
    )
    assert page["registry"]["proxy"] == {
        "blobs": nothing | {"Hits": 4},
        "manifests": nothing,
    }
    assert "secret" not in json.dumps(page)


def test_what_distribution_has_no_name_for() -> None:
    page = told(
        settings_of(),
        Measurement("flaskreg_health_failing", "gauge", "", 1),
        Measurement("flaskreg_build_info", "gauge", "", 1, {"version": "1.2"}),
    )
    assert page["flaskreg"] == {"health_failing": 1, "build_info": {"1.2": 1}}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_is_json(method: str) -> None:
    answer = Client(make_vars_page(settings_of(), [])).open("/", method=method)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert bool(answer.data) is (method == "GET")
