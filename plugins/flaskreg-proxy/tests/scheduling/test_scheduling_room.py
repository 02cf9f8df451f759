"""A bound on bytes that holds while the cache is filled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cached import Cached
from cached import bytes_stored
from cached import contents
from cached import make_driver
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling.members import Beat
from flaskreg_proxy.scheduling.room import Grants
from flaskreg_proxy.scheduling.room import Room
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st


modest = settings(max_examples=200, deadline=None)
counts = st.integers(0, 10_000)
workers = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(counts, counts, counts), max_size=6
)


@modest
@given(workers, st.integers(1, 50_000), counts)
def test_no_more_is_granted_than_there_is_room(told, max_bytes, used):
    """Whatever workers ask and have filled; nothing is ever taken back."""
    beats, granted = {}, {}
    for name, (settled, more, given_already) in told.items():
        beats[name] = Beat(asked=settled + more, settled=settled)
        granted[name] = settled + given_already
    grants = Grants(max_bytes)
    given_now = grants.give(beats, granted, used)
    assert given_now.keys() == beats.keys()
    assert all(given_now[name] >= granted[name] for name in beats)
    before = grants.outstanding(beats, granted)
    after = grants.outstanding(beats, given_now)
    assert after == before or used + after <= max_bytes
    if used + before + grants.wanted(beats, granted) <= max_bytes:
        assert grants.wanted(beats, given_now) == 0


def test_what_was_given_up_is_used_for_the_next():
    """A fill that did not wait long enough leaves its room to others."""
    room = Room("a", 1000, lambda: None)
    with room.take(300, 0.0) as given:
        assert not given
    assert room.counts() == (300, 0)
    with room.take(200, 0.0) as given:
        assert not given
    assert room.counts() == (300, 0)


@pytest.mark.parametrize("size", [501, 1 << 50])
def test_what_takes_most_of_it_is_not_cached(size):
    """And nobody waits behind it."""
    room = Room("a", 1000, lambda: None)
    with room.take(size, 60.0) as given:
        assert not given
    assert room.counts() == (0, 0)


def test_eviction_under_load_stays_within_the_bound(tmp_path):
    """Threads fill ten times what fits: it never holds more, and all get room."""
    root = tmp_path / "root"
    cached = Cached(make_driver(root), Limits(max_bytes=100_000))
    cached.scheduler.start()
    seen = []

    def fill(content):
        with cached.scheduler.room(len(content), 60.0) as given:
            assert given
            cached.fill("a", content)
            seen.append(bytes_stored(root))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, contents(200, size=5000)))
    cached.scheduler.close()
    assert len(seen) == 200
    assert max(seen) <= 100_000
    assert bytes_stored(root) >= 50_000, "it does not throw away more than it has to"
