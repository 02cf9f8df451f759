"""The cache that tells the access log what it answered."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from builders import Client
from builders import MakeApp
from builders import blob_url
from builders import push_blob

from flaskreg import hookimpl
from flaskreg.cache import DescriptorCache
from flaskreg.defaults.memorycache import MemoryCache
from flaskreg.logs.cache import TellingCache
from flaskreg.observer import Exchange
from flaskreg.observer import Observer
from flaskreg.testing import DescriptorCacheTests


class TestTellingCache(DescriptorCacheTests):
    """It is a cache like the one inside."""

    @pytest.fixture
    def cache(self) -> DescriptorCache:
        """Return one around an empty cache."""
        return TellingCache(MemoryCache())


@pytest.mark.parametrize("form", ["json", "combined"])
def test_a_request_says_what_the_cache_answered(make_app: MakeApp, form: str) -> None:
    """When it is logged in full; a plain line has no place for it."""
    seen: list[str] = []

    class Watching(Observer):
        def started(self, exchange: Exchange) -> None:
            assert exchange.cache == ""

        def finished(self, exchange: Exchange) -> None:
            seen.append(exchange.cache)

    class Plugin:
        @hookimpl
        def flaskreg_register_observers(self) -> Mapping[str, Observer]:
            return {"watching": Watching()}

        @hookimpl
        def flaskreg_make_cache(self) -> DescriptorCache:
            return MemoryCache()

    app = make_app(
        (Plugin(),),
        log={"accesslog": {"formatter": form}},
        storage={"cache": {"blobdescriptor": "inmemory"}},
    )
    client = Client(app)
    digest = push_blob(client, "a", b"content")
    del seen[:]
    assert client.get(blob_url("a", digest)).status_code == 200
    assert client.get("/v2/").status_code == 200
    assert seen == (["hit", ""] if form == "json" else ["", ""])
