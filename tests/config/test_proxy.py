"""What stands in the ``proxy`` section, and what may not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from flaskreg.config import ConfigError

from .conftest import Load
from .samples import UPSTREAM


def text(**proxy: Any) -> str:
    return yaml.safe_dump({"version": 0.1, "storage": "inmemory", "proxy": proxy})


@pytest.mark.parametrize(
    ("proxy", "sentence"),
    [
        ({"remoteurl": "registry-1.docker.io"}, "must be an http or https URL"),
        ({"remoteurl": "ftp://example.com"}, "must be an http or https URL"),
        ({"remoteurl": "https://"}, "must be an http or https URL"),
        ({"remoteurl": "https://a.example.com:99999"}, "with a port up to 65535"),
        ({"remoteurl": "https://a.example.com/?x=y"}, "without a query"),
        ({"mode": "never"}, "proxy.mode"),
        ({"tagtl": "1s"}, "did you mean proxy.tagttl"),
        ({"upstreams": [{"prefix": "a"}]}, "proxy.upstreams[0].remoteurl"),
        ({"upstreams": [{"remoteurl": "https://a"}]}, "proxy.upstreams[0].prefix"),
        ({"upstreams": [{**UPSTREAM, "prefix": "A:1"}]}, "beginning of repository"),
        ({"upstreams": [{**UPSTREAM, "tagtl": "1s"}]}, "did you mean"),
        ({"maxbytes": -1}, "proxy.maxbytes"),
        ({"highwater": 101}, "proxy.highwater"),
        ({"lowwater": 96}, "proxy.lowwater: 96 is above proxy.highwater, 95"),
        ({"prefetch": [{"timetable": "6h"}]}, "proxy.prefetch[0].images"),
        ({"upstreams": [UPSTREAM, UPSTREAM]}, "two have the prefix other"),
        (
            {"upstreams": [{**UPSTREAM, "host": "h", "prefix": it} for it in "ab"]},
            "two have the host h",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    load: Load, proxy: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text(**proxy))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cache_is_configured_by_either_way(load: Load) -> None:
    assert not load(text(username="me")).proxy.configured
    assert load(text(remoteurl="https://example.com")).proxy.configured
    assert load(text(upstreams=[UPSTREAM])).proxy.configured


def test_a_tag_is_looked_up_at_once_as_distribution_does(load: Load) -> None:
    """A whole cache behaves as distribution's; an upstream spares its rate limit."""
    proxy = load(text(upstreams=[UPSTREAM])).proxy
    assert (proxy.tagttl, proxy.upstreams[0].tagttl) == (0, 60)


@pytest.mark.parametrize(
    "proxy",
    [
        {"remoteurl": "https://me:canary@example.com/?x=y"},
        {"mirrors": ["ftp://me:canary@example.com"]},
        {"upstreams": [{**UPSTREAM, "remoteurl": "me://me:canary@example.com"}]},
    ],
)
def test_a_password_in_a_wrong_url_is_not_told(
    load: Load, proxy: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text(**proxy))
    assert "canary" not in str(caught.value)
    assert "me:***@example.com" in str(caught.value)
