"""What the metrics page says of a cache is what was pulled through it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests
from faulty import FaultyProxy
from live.api import Api
from live.api import expect
from live.images import Layout
from live.images import digest_of
from live.servers import Launcher
from live.servers import Server
from live.servers import free_port
from live.tools import need
from live.tools import wait_until


pytestmark = pytest.mark.live

NAME = "up/team/app"
_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? ([0-9.e+]+)")


class Page:
    """The page of a cache with two workers."""

    def __init__(self, launcher: Launcher, upstream: FaultyProxy) -> None:
        self.debug = free_port()
        config = {
            "proxy": {
                "upstreams": [
                    {"prefix": "up", "remoteurl": upstream.url, "tagttl": "0s"}
                ]
            },
            "http": {
                "debug": {
                    "addr": f"127.0.0.1:{self.debug}",
                    "prometheus": {"enabled": True},
                }
            },
        }
        self.server = launcher.flaskreg(config, workers=2)
        wait_until(lambda: self.value("flaskreg_workers") == 2, 60, "both serve")

    def text(self) -> str:
        return requests.get(f"http://127.0.0.1:{self.debug}/metrics", timeout=20).text

    def values(self) -> dict[tuple[str, str], float]:
        """Return each number by its metric and labels."""
        found = {}
        for line in self.text().splitlines():
            match = _SAMPLE.fullmatch(line)
            if match is not None:
                found[match[1], match[2] or ""] = float(match[3])
        return found

    def value(self, name: str, labels: str = "") -> float:
        """Return one number; 0 when the page does not have it, or is not there."""
        Api(self.server.url, "").call("GET", f"{self.server.url}/v2/")
        with suppress(requests.ConnectionError):
            return self.values().get((name, labels), 0)
        return 0


@pytest.fixture
def page(launcher: Launcher, upstream3: FaultyProxy) -> Page:
    return Page(launcher, upstream3)


def proxy_values(page: Page, kind: str) -> list[float]:
    """Return requests, hits, misses, and bytes pulled and pushed."""
    values = page.values()
    names = ("requests", "hits", "misses", "pulled_bytes", "pushed_bytes")
    return [values[f"registry_proxy_{it}_total", f'type="{kind}"'] for it in names]


def test_the_page_says_what_was_pulled(
    page: Page, upstream3: FaultyProxy, image: Layout
) -> None:
    """By many clients of two workers, one of which is killed."""
    upstream3.added = {
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "42;w=21600",
    }
    host = f'upstream="{upstream3.host}"'
    before = upstream3.count("HEAD", "/manifests/")
    clients = 16
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: pull_all(page.server, image), range(clients)))
    blobs = sum(len(image.blob(it).read_bytes()) for it in image.blobs())
    manifests = [image.blob(digest).read_bytes() for digest, _ in image.manifests()]
    size = sum(map(len, manifests))
    count = clients * len(image.blobs())
    requested, hits, misses, pulled, pushed = proxy_values(page, "blob")
    assert requested == hits + misses == count
    # All who waited for one download count as misses.
    assert misses >= len(image.blobs())
    assert (pulled, pushed) == (blobs, clients * blobs)
    asked = clients * (1 + len(manifests))
    index = len(image.blob(image.digest).read_bytes())
    requested, hits, misses, pulled, pushed = proxy_values(page, "manifest")
    assert (requested, hits, misses) == (asked, asked - misses, len(manifests))
    assert (pulled, pushed) == (size, clients * (size + index))
    values = page.values()
    looked_up = sum(
        values["flaskreg_proxy_lookups_total", f'result="{it}"']
        for it in ("new", "same")
    )
    assert looked_up == upstream3.count("HEAD", "/manifests/") - before
    asked_upstream = values["flaskreg_proxy_upstream_requests_total", host]
    assert asked_upstream == len(upstream3.requests)
    stored = values["flaskreg_proxy_downloads_total", 'result="stored"']
    assert stored == len(image.blobs())
    assert values["flaskreg_proxy_ratelimit_limit", host] == 100
    assert values["flaskreg_proxy_ratelimit_remaining", host] == 42
    assert values["flaskreg_proxy_ratelimit_window_seconds", host] == 21600
    os.kill(page.server.workers()[0], signal.SIGKILL)
    wait_until(lambda: len(page.server.workers()) == 2, 60, "another one began")
    wait_until(lambda: page.value("flaskreg_workers") == 2, 60, "and serves")
    assert proxy_values(page, "blob")[0] == count
    upstream3.added["RateLimit-Remaining"] = "0;w=21600"
    pull_all(page.server, image)
    assert proxy_values(page, "blob")[:2] == [
        count + len(image.blobs()),
        count + len(image.blobs()) - proxy_values(page, "blob")[2],
    ]
    assert page.value("flaskreg_proxy_ratelimit_remaining", host) == 0
    # What is here is not looked up any more, by whichever worker.
    asked_before = len(upstream3.requests)
    for _ in range(20):
        answer = Api(page.server.url, NAME).call("GET", "manifests/v1")
        assert "asks to be spared" in answer.headers["Warning"]
    assert len(upstream3.requests) == asked_before
    assert page.value("flaskreg_proxy_stale_total") == 20


def pull_all(server: Server, image: Layout) -> None:
    """Pull a tag and all that it leads to, over connections of its own."""
    Api(server.url, NAME).check_holds(image, "v1")


def test_a_failing_upstream_is_seen_on_the_page(
    page: Page, upstream3: FaultyProxy
) -> None:
    """Its errors, by kind, and how many workers leave it alone until it is well."""
    host = f'upstream="{upstream3.host}"'
    breaker = ("flaskreg_proxy_breaker_open", host)
    assert page.values()[breaker] == 0
    upstream3.always(status=500)
    for number in range(30):
        expect(Api(page.server.url, NAME).call("GET", f"manifests/v{number}x"), 502)
    values = page.values()
    assert 1 <= values[breaker] <= 2
    failed = values["flaskreg_proxy_upstream_errors_total", f'kind="failed",{host}']
    assert failed == len(upstream3.requests)
    upstream3.heal()
    nowhere = digest_of(b"nowhere")
    wait_until(
        lambda: (
            Api(page.server.url, NAME).call("GET", f"blobs/{nowhere}").status_code
            == 404
            and page.value(*breaker) == 0
        ),
        120,
        "it is asked again",
    )


def test_promtool_finds_nothing_to_say(
    page: Page, upstream3: FaultyProxy, image: Layout
) -> None:
    upstream3.added = {"RateLimit-Limit": "9;w=60", "RateLimit-Remaining": "8;w=60"}
    pull_all(page.server, image)
    text = page.text()
    assert "flaskreg_proxy_ratelimit_remaining{" in text
    result = subprocess.run(
        [need("promtool"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_all_workers_wait_when_an_upstream_refuses(
    page: Page, upstream3: FaultyProxy
) -> None:
    """Until it allows more, whichever of them was refused."""
    upstream3.heal()
    upstream3.always(status=429, headers={"Retry-After": "600"})
    for _ in range(20):
        expect(Api(page.server.url, NAME).call("GET", "manifests/v9"), 429)
    assert len(upstream3.requests) == 1
    host = f'upstream="{upstream3.host}"'
    limited = f'kind="limited",{host}'
    assert page.value("flaskreg_proxy_upstream_errors_total", limited) == 1
