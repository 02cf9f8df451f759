"""An upstream that fails: what is cached is served in time, what is not tells why."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faulty import FaultyProxy
from harness import StartCache
from live.api import ACCEPT
from live.api import Api
from live.api import expect
from live.images import Layout
from live.images import digest_of
from live.servers import Server
from live.servers import free_port
from live.tools import wait_until


pytestmark = pytest.mark.live

#: the longest time for an answer from the cache, in seconds: 5 and the test's own.
BUDGET = 9.0
#: and for the true reason, when nothing is here: 15 and the test's own.
PATIENCE = 22.0


def failing(upstream: FaultyProxy, kind: str) -> str:
    """Let the upstream fail, and return the URL at which it does."""
    faults: dict[str, dict[str, Any]] = {
        "silent": {"hang": True},
        "limited": {"status": 429, "headers": {"Retry-After": "17"}},
        "broken": {"status": 500},
        "denied": {
            "status": 401,
            "headers": {"WWW-Authenticate": 'Basic realm="upstream"'},
        },
        "dropping": {"drop": True},
        "nonsense": {"status": 700},
    }
    if kind in faults:
        upstream.always(**faults[kind])
        return upstream.url
    return {
        "unreachable": f"http://127.0.0.1:{unreachable()}",
        "closed": f"http://127.0.0.1:{free_port()}",
        "tls": f"https://127.0.0.1:{upstream.target}",
        "dns": "http://registry.invalid",
    }[kind]


def unreachable() -> int:
    """Return a port of this machine that does not answer who connects.

    What waits in the queue of a listener that accepts nobody is never taken, and when
    it is full the system answers no more.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    KEPT.append(listener)
    port: int = listener.getsockname()[1]
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        KEPT.append(client)
    return port


#: sockets that are to stay open.
KEPT: list[socket.socket] = []


@pytest.fixture(autouse=True)
def closed_sockets() -> Iterator[None]:
    yield
    while KEPT:
        KEPT.pop().close()


FAILURES = {
    "unreachable": (504, "UNAVAILABLE"),
    "silent": (504, "UNAVAILABLE"),
    "limited": (429, "TOOMANYREQUESTS"),
    "broken": (502, "UNAVAILABLE"),
    "denied": (403, "DENIED"),
    "dropping": (502, "UNAVAILABLE"),
    "nonsense": (502, "UNAVAILABLE"),
    "closed": (502, "UNAVAILABLE"),
    "tls": (502, "UNAVAILABLE"),
    "dns": (502, "UNAVAILABLE"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failing_upstream(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout, kind: str
) -> None:
    """Cached: 200 with a warning, in time. Not cached: the reason, and never 404."""
    status, code = FAILURES[kind]
    good = start_cache(upstream3.url, workers=1)
    Api(good.url, "up/team/app").check_holds(image, "v1")
    good.stop()
    url = failing(upstream3, kind)
    cache = start_cache(url, workers=1, tagttl="0s", root=good.root)
    api = Api(cache.url, "up/team/app", timeout=BUDGET)
    stale = expect(api.call("GET", "manifests/v1", headers={"Accept": ACCEPT}), 200)
    assert digest_of(stale.content) == image.digest
    assert "may be stale: " in stale.headers["Warning"]
    upstream3.requests.clear()
    for digest, _manifest in image.manifests():
        assert "Warning" not in api.call("GET", f"manifests/{digest}").headers
    for digest in image.blobs():
        api.pull_blob(digest)
    assert upstream3.requests == []
    api.timeout = PATIENCE
    nowhere = digest_of(b"nowhere")
    for path in ("manifests/v2", f"manifests/{nowhere}", f"blobs/{nowhere}"):
        answer = expect(api.call("GET", path), status)
        assert answer.json()["errors"][0]["code"] == code
        if kind == "limited":
            assert 15 <= int(answer.headers["Retry-After"]) <= 17
    assert "Traceback" not in cache.text()


def test_an_upstream_that_sends_a_byte_now_and_then(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """It is slow, and told to be, in time."""
    cache = start_cache(upstream3.url, workers=1)
    upstream3.first(1, "/manifests/", rate=20)
    api = Api(cache.url, "up/team/app", timeout=PATIENCE)
    answer = expect(api.call("GET", f"manifests/{image.digest}"), 504)
    assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
    api.check_holds(image, "v1")


def test_a_broken_upstream_is_left_alone(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """After some failures it is not asked for a while, and then it is again."""
    cache = start_cache(upstream3.url, workers=1, tagttl="0s")
    api = Api(cache.url, "up/team/app")
    api.pull_manifest("v1")
    upstream3.always(status=503)
    for _ in range(20):
        api.pull_manifest("v1")
    assert len(upstream3.requests) < 10
    refused = expect(api.call("GET", "manifests/v2"), 502)
    assert int(refused.headers["Retry-After"]) >= 1
    upstream3.heal()
    wait_until(
        lambda: "Warning" not in api.call("GET", "manifests/v1").headers, 90, "healed"
    )
    api.check_holds(image, "latest")


def test_one_that_limits_is_not_asked_until_it_allows(
    upstream3: FaultyProxy, start_cache: StartCache
) -> None:
    cache = start_cache(upstream3.url, workers=1, tagttl="0s")
    api = Api(cache.url, "up/team/app")
    api.pull_manifest("v1")
    upstream3.heal()
    upstream3.always(status=429, headers={"Retry-After": "600"})
    for _ in range(5):
        expect(api.call("GET", "manifests/v1"), 200)
        expect(api.call("GET", "manifests/v2"), 429)
    assert len(upstream3.requests) == 1


def test_a_tag_that_is_gone(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """It is served marked for a while, and then no more; by digest it always is."""
    for keys, status in (({}, 200), ({"staleifgone": "0s"}, 404)):
        cache = start_cache(upstream3.url, tagttl="0s", **keys)
        api = Api(cache.url, "up/team/app")
        upstream3.heal()
        api.pull_manifest("v1")
        upstream3.always(status=404)
        answer = expect(api.call("GET", "manifests/v1"), status)
        assert ("Warning" in answer.headers) is (status == 200)
        api.pull_manifest(image.digest)


def test_stale_while_revalidate(
    registry3: Server, upstream3: FaultyProxy, start_cache: StartCache
) -> None:
    """The answer does not wait for the upstream, and the next one is the new one."""
    at_home = Api(registry3.url, "team/swr")
    media_type = "application/vnd.oci.image.index.v1+json"
    made = [
        b'{"schemaVersion":2,"mediaType":"%b","manifests":[],"annotations":{"n":"%d"}}'
        % (media_type.encode(), number)
        for number in range(2)
    ]
    at_home.push_manifest("v1", made[0], media_type)
    cache = start_cache(upstream3.url, mode="stale-while-revalidate", tagttl="0s")
    api = Api(cache.url, "up/team/swr", timeout=BUDGET)
    assert api.pull_manifest("v1")[0] == made[0]
    at_home.push_manifest("v1", made[1], media_type)
    upstream3.always(hang=True)
    begin = time.monotonic()
    assert api.pull_manifest("v1")[0] == made[0]
    assert time.monotonic() - begin < 5
    upstream3.heal()
    wait_until(lambda: api.pull_manifest("v1")[0] == made[1], 60, "renewed")


def test_offline(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """Nothing is asked; what is not here is told so."""
    good = start_cache(upstream3.url)
    Api(good.url, "up/team/app").check_holds(image, "v1")
    good.stop()
    upstream3.heal()
    api = Api(start_cache(upstream3.url, mode="offline", root=good.root).url, "")
    api.name = "up/team/app"
    api.check_holds(image, "v1")
    nowhere = digest_of(b"nowhere")
    for path in ("manifests/v2", f"manifests/{nowhere}", f"blobs/{nowhere}"):
        expect(api.call("GET", path), 504)
    assert api.call("GET", "tags/list").json()["tags"] == ["v1"]
    assert upstream3.requests == []


def test_mirrors_are_tried_in_their_order(
    registry3: Server, start_cache: StartCache, image: Layout
) -> None:
    """The next one when one fails or has it not; the upstream itself at last."""
    with FaultyProxy(registry3.port) as last, FaultyProxy(registry3.port) as good:
        dead = f"http://127.0.0.1:{free_port()}"
        cache = start_cache(last.url, mirrors=[dead, good.url])
        api = Api(cache.url, "up/team/app")
        api.check_holds(image, "v1")
        assert last.requests == []
        good.always(status=404)
        api.pull_manifest("latest")
        assert last.count("HEAD", "/manifests/latest") == 1


@pytest.mark.parametrize("named", ["prefix", "ns", "host", "registry host"])
def test_ways_to_name_an_upstream(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    image: Layout,
    named: str,
) -> None:
    """By prefix, by containerd's ``ns``, by ``Host``; a second upstream beside it."""
    with FaultyProxy(registry3.port) as other:
        more = {"prefix": "other/one", "remoteurl": other.url, "host": "other.test"}
        section = {
            "upstreams": [
                {"prefix": "up", "remoteurl": upstream3.url, "host": "up.test"},
                more,
            ]
        }
        cache = start_cache(upstream3.url, proxy=section)
        name, query, headers = {
            "prefix": ("up/team/app", "", {}),
            "ns": ("team/app", "?ns=up", {}),
            "host": ("team/app", "", {"Host": "up.test:5000"}),
            "registry host": ("team/app", f"?ns={upstream3.host}", {}),
        }[named]
        api = Api(cache.url, name)
        headers["Accept"] = ACCEPT
        answer = expect(api.call("GET", f"manifests/v1{query}", headers=headers), 200)
        assert digest_of(answer.content) == image.digest
        catalog = api.call("GET", f"{cache.url}/v2/_catalog").json()
        assert catalog == {"repositories": ["up/team/app"]}
        assert other.requests == []
        upstream3.heal()
        unknown = api.call("GET", "manifests/v1?ns=169.254.169.254")
        assert expect(unknown, 404).json()["errors"][0]["code"] == "NAME_UNKNOWN"
        assert upstream3.requests == other.requests == []
        Api(cache.url, "other/one/team/app").check_holds(image, "v1")
        assert upstream3.requests == []


def test_filters(upstream3: FaultyProxy, start_cache: StartCache) -> None:
    """What is not to be cached is denied, and the upstream is not asked."""
    cache = start_cache(upstream3.url, allow=["team/*"], deny=["team/secret*"])
    expect(Api(cache.url, "up/team/app").call("GET", "manifests/v1"), 200)
    upstream3.heal()
    nowhere = digest_of(b"nowhere")
    for name in ("up/team/secrets", "up/others/app"):
        for path in ("manifests/v1", f"manifests/{nowhere}", f"blobs/{nowhere}"):
            answer = expect(Api(cache.url, name).call("GET", path), 403)
            assert answer.json()["errors"][0]["code"] == "DENIED"
    assert upstream3.requests == []


def test_a_wrong_manifest_is_not_kept(
    upstream3: FaultyProxy,
    start_cache: StartCache,
    image: Layout,
) -> None:
    upstream3.first(1, "/manifests/", corrupt_at=20)
    api = Api(start_cache(upstream3.url).url, "up/team/app")
    expect(api.call("GET", f"manifests/{image.digest}"), 502)
    api.check_holds(image, "v1")


def test_many_who_want_a_tag_cause_one_look(
    upstream3: FaultyProxy, start_cache: StartCache
) -> None:
    """Of all workers together."""
    cache = start_cache(upstream3.url, workers=4, tagttl="1h")

    def look(_number: int) -> int:
        return Api(cache.url, "up/team/app").call("GET", "manifests/v1").status_code

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(look, range(64))) == {200}
    assert upstream3.count("HEAD", "/manifests/") == 1
    assert upstream3.count("GET", "/manifests/") == 1
