"""What is pulled through a cache of real registries is what they hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urljoin

import pytest
import requests
from faulty import FaultyProxy
from harness import StartCache
from harness import stored
from harness import tree
from live.api import Api
from live.api import expect
from live.images import Layout
from live.images import digest_of
from live.images import make_layout
from live.servers import Launcher
from live.servers import Server


pytestmark = pytest.mark.live

MIB = 1 << 20


def next_of(response: requests.Response) -> str:
    """Return the URL of the next page."""
    return urljoin(response.url, response.links["next"]["url"])


def test_an_image_comes_once(
    upstream: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """By tag and by digest, every byte; the second time without the upstream."""
    cache = start_cache(upstream.url)
    api = Api(cache.url, "up/team/app")
    api.check_holds(image, "v1")
    for digest in image.blobs():
        assert upstream.count("GET", f"/blobs/{digest}") == 1
    upstream.always(status=500)
    api.check_holds(image, "v1")
    names = [name for name in tree(cache) if name.startswith("flaskreg/proxy/down")]
    assert names == []


def test_a_manifest_comes_without_its_layers(
    upstream: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """They come when they are asked for, and each alone."""
    cache = start_cache(upstream.url)
    api = Api(cache.url, "up/team/app")
    for digest, _ in image.manifests():
        api.pull_manifest(digest)
    assert upstream.count("GET", "/blobs/") == upstream.count("HEAD", "/blobs/") == 0
    first = image.blobs()[0]
    api.pull_blob(first)
    assert upstream.count("GET", "/blobs/") == 1
    assert upstream.count("GET", f"/blobs/{first}") == 1
    again = Api(start_cache(upstream.url, root=cache.root).url, "up/team/app")
    assert digest_of(again.pull_manifest(image.digest)[0]) == image.digest


def test_a_whole_cache_is_distributions(
    upstream: FaultyProxy, start_whole_cache: StartCache, image: Layout
) -> None:
    """Names are the upstream's, each tag is looked up, and a push is UNSUPPORTED."""
    cache = start_whole_cache(upstream.url)
    api = Api(cache.url, "team/app")
    api.check_holds(image, "v1")
    before = upstream.count("HEAD", "/manifests/v1")
    api.pull_manifest("v1")
    assert upstream.count("HEAD", "/manifests/v1") == before + 1
    refusals = [
        api.call("POST", "blobs/uploads/"),
        api.call("PUT", "manifests/v2", data=b"{}"),
        api.call("DELETE", f"manifests/{image.digest}"),
        api.call("DELETE", f"blobs/{image.blobs()[0]}"),
    ]
    for refusal in refusals:
        assert expect(refusal, 405).json()["errors"][0]["code"] == "UNSUPPORTED"
    assert cache.text().count("Traceback") == 0


def test_a_push_below_a_prefix_is_denied_at_once(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """403, to which clients give in; beside it everything can be pushed."""
    cache = start_cache(upstream3.url)
    api = Api(cache.url, "up/team/new")
    for refusal in (
        api.call("POST", "blobs/uploads/"),
        api.call("POST", f"blobs/uploads/?mount={image.blobs()[0]}&from=up/team/app"),
        api.call("PUT", "manifests/v2", data=b"{}", headers={"Content-Type": "a/b"}),
        api.call("DELETE", f"manifests/{image.digest}"),
    ):
        assert expect(refusal, 403).json()["errors"][0]["code"] == "DENIED"
    assert upstream3.requests == []
    for name in ("local/app", "upper/app"):
        local = Api(cache.url, name)
        local.push(image, "v1")
        local.check_holds(image, "v1")
    assert upstream3.requests == []


def test_what_is_cached_can_be_mounted_into_a_local_repository(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    cache = start_cache(upstream3.url)
    Api(cache.url, "up/team/app").check_holds(image)
    local = Api(cache.url, "local/app")
    for digest in image.blobs():
        path = f"blobs/uploads/?mount={digest}&from=up/team/app"
        expect(local.call("POST", path), 201)
        local.pull_blob(digest)


def test_content_that_is_here_is_not_had_again(
    registry3: Server, upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """The upstream says that the other repository has it; then it is linked."""
    Api(registry3.url, "team/copy").push(image, "v1")
    cache = start_cache(upstream3.url)
    Api(cache.url, "up/team/app").check_holds(image)
    upstream3.heal()
    other = Api(cache.url, "up/team/copy")
    for digest in image.blobs():
        other.pull_blob(digest)
    assert upstream3.count("GET", "/blobs/") == 0
    assert upstream3.count("HEAD", "/blobs/") == len(image.blobs())
    unknown = Api(cache.url, "up/team/unknown")
    expect(unknown.call("GET", f"blobs/{image.blobs()[0]}"), 404)


def test_head_never_downloads(
    registry: Server,
    upstream: FaultyProxy,
    start_cache: StartCache,
    push_random: Callable[..., str],
) -> None:
    digest = push_random(registry, 3 * MIB)
    cache = start_cache(upstream.url)
    api = Api(cache.url, "up/team/app")
    head = expect(api.call("HEAD", f"blobs/{digest}"), 200)
    assert head.headers["Content-Length"] == str(3 * MIB)
    assert head.headers["Docker-Content-Digest"] == digest
    assert upstream.count("GET", "/blobs/") == 0
    assert not stored(cache, digest).exists()


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=100-199", 100, 200),
        ("bytes=3145000-", 3_145_000, 3 * MIB),
        ("bytes=-7", 3 * MIB - 7, 3 * MIB),
        (f"bytes=0-{3 * MIB}", 0, 3 * MIB),
    ],
)
def test_a_range_of_what_is_not_here(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: Callable[..., str],
    asked: str,
    start: int,
    stop: int,
) -> None:
    """A part is answered as a part, and all of it is kept."""
    digest = push_random(registry3, 3 * MIB)
    whole = Api(registry3.url, "team/app").pull_blob(digest)
    api = Api(start_cache(upstream3.url).url, "up/team/app")
    answer = api.call("GET", f"blobs/{digest}", headers={"Range": asked})
    assert expect(answer, 206).content == whole[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{3 * MIB}"
    assert api.pull_blob(digest) == whole
    assert upstream3.count("GET", "/blobs/") == 1


def test_other_digests_and_the_empty_blob(
    registry3: Server, upstream3: FaultyProxy, start_cache: StartCache
) -> None:
    empty = Api(registry3.url, "team/app").push_blob(b"")
    api = Api(start_cache(upstream3.url).url, "up/team/app")
    assert api.pull_blob(empty) == b""
    missing = digest_of(b"nobody has this")
    for method in ("GET", "HEAD"):
        expect(api.call(method, f"blobs/{missing}"), 404)
        expect(api.call(method, f"manifests/{missing}"), 404)
        expect(api.call(method, "manifests/nobody"), 404)


def test_the_tags_are_the_upstreams(
    upstream: FaultyProxy, start_cache: StartCache
) -> None:
    """A page at a time; what is here when the upstream fails."""
    cache = start_cache(upstream.url)
    api = Api(cache.url, "up/team/app")
    assert expect(api.call("GET", "tags/list"), 200).json() == {
        "name": "up/team/app",
        "tags": ["latest", "v1"],
    }
    first = expect(api.call("GET", "tags/list?n=1"), 200)
    assert first.json()["tags"] == ["latest"]
    second = api.call("GET", next_of(first)).json()
    assert second["tags"] == ["v1"]
    expect(Api(cache.url, "up/team/unknown").call("GET", "tags/list"), 404)
    api.pull_manifest("v1")
    upstream.always(status=503)
    assert api.call("GET", "tags/list").json()["tags"] == ["v1"]
    catalog = api.call("GET", f"{cache.url}/v2/_catalog").json()
    assert catalog == {"repositories": ["up/team/app"]}


def test_a_tag_that_moves_is_followed(
    registry: Server,
    upstream: FaultyProxy,
    start_cache: StartCache,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """No more often than ``tagttl`` allows, whichever worker answers."""
    at_home = Api(registry.url, "team/moving")
    old = make_layout(tmp_path_factory.mktemp("old"), layers=1, seed="old")
    new = make_layout(tmp_path_factory.mktemp("new"), layers=1, seed="new")
    at_home.push(old, "v1")
    lazy = Api(start_cache(upstream.url, tagttl="1h", workers=4).url, "up/team/moving")
    eager = Api(start_cache(upstream.url, tagttl="0s").url, "up/team/moving")
    for api in (lazy, eager):
        assert digest_of(api.pull_manifest("v1")[0]) == old.digest
    at_home.push(new, "v1")
    upstream.heal()
    for _ in range(20):
        assert digest_of(lazy.pull_manifest("v1")[0]) == old.digest
        lazy.session.close()
    assert upstream.requests == []
    assert digest_of(eager.pull_manifest("v1")[0]) == new.digest
    eager.check_holds(new, "v1")
    assert digest_of(eager.pull_manifest(old.digest)[0]) == old.digest


def test_referrers_come_through(
    launcher: Launcher,
    start_cache: StartCache,
    image: Layout,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Of an upstream that lists them; and when it is down, those that were seen."""
    origin = launcher.flaskreg(workers=1)
    check_referrers(origin, start_cache, image, tmp_path_factory, fallback=False)


def test_referrers_come_through_by_their_tag(
    registry: Server,
    start_cache: StartCache,
    image: Layout,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Of one that does not, as its clients keep them."""
    check_referrers(registry, start_cache, image, tmp_path_factory, fallback=True)


def check_referrers(
    origin: Server,
    start_cache: StartCache,
    image: Layout,
    tmp_path_factory: pytest.TempPathFactory,
    *,
    fallback: bool,
) -> None:
    at_home = Api(origin.url, "team/signed")
    at_home.push(image, "v1")
    subject = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": image.digest,
        "size": len(image.blob(image.digest).read_bytes()),
    }
    signature = make_layout(
        tmp_path_factory.mktemp("signature"),
        layers=1,
        artifact="application/vnd.example.signature",
        subject=subject,
    )
    at_home.push(signature)
    if fallback:
        kept = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": signature.digest,
                    "size": len(signature.blob(signature.digest).read_bytes()),
                }
            ],
        }
        tag = image.digest.replace(":", "-")
        at_home.push_manifest(tag, json.dumps(kept).encode(), kept["mediaType"])
    with FaultyProxy(origin.port) as upstream:
        api = Api(start_cache(upstream.url, tagttl="0s").url, "up/team/signed")
        for failing in (False, True):
            if failing:
                upstream.always(status=500)
            listed = expect(api.call("GET", f"referrers/{image.digest}"), 200).json()
            assert [it["digest"] for it in listed["manifests"]] == [signature.digest]
            api.check_holds(signature)
