"""A bounded memory, against the simplest one that could be right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.lru import LRU


_keys = st.integers(0, 6)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), _keys, st.integers(1, 5)),
        st.tuples(st.just("get"), _keys, st.just(0)),
        st.tuples(st.just("discard"), _keys, st.just(0)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("weighted", [False, True])
@settings(max_examples=200, deadline=None)
@given(size=st.integers(-1, 8), steps=_steps)
def test_what_was_used_least_recently_goes(
    weighted: bool, size: int, steps: list[tuple[str, int, int]]
) -> None:
    """After any steps it holds what a list of uses says, and no more than may be."""
    memory: LRU[int, int] = LRU(size, int) if weighted else LRU(size)
    used: list[tuple[int, int]] = []

    def weight() -> int:
        return sum(value for _, value in used) if weighted else len(used)

    for step, key, value in steps:
        known = dict(used).get(key)
        if step == "get":
            assert memory.get(key) == known
            if known is not None:
                used.remove((key, known))
                used.append((key, known))
            continue
        used = [entry for entry in used if entry[0] != key]
        if step == "discard":
            memory.discard(key)
        else:
            memory.set(key, value)
            used.append((key, value))
            while 0 < size < weight():
                used.pop(0)
        assert len(memory) == len(used)
    for key in range(7):
        assert memory.get(key) == dict(used).get(key)


def test_what_is_too_heavy_is_not_remembered() -> None:
    """An entry that weighs more than all may together is not kept."""
    memory: LRU[str, bytes] = LRU(10, len)
    memory.set("small", b"12345")
    memory.set("large", b"1" * 11)
    assert memory.get("large") is None
    memory.set("small", b"1")
    memory.set("ten", b"1" * 9)
    assert memory.get("small") == b"1"
    assert memory.get("ten") == b"1" * 9


def test_threads_share_it() -> None:
    """Nothing is lost or kept beyond the bound when many use it at once."""
    memory: LRU[int, int] = LRU(50)

    def use(start: int) -> None:
        for key in range(start, start + 500):
            memory.set(key, key)
            assert memory.get(key) in {key, None}
            memory.discard(key - 3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(0, 800, 100)))
    assert len(memory) <= 50
