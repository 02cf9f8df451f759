"""The breaker: who fails is left alone, and asked again by one at a time."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from flaskreg.breaker import Breaker


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """Return a clock."""
    return Clock()


@pytest.fixture
def breaker(clock):
    """Return a breaker that waits for 1, 2, 4 and then 5 seconds."""
    return Breaker("the backend", shortest=1.0, longest=5.0, clock=clock)


def test_a_backend_that_answers_is_asked(breaker):
    """Each time."""
    for _ in range(3):
        assert breaker.allows()
        breaker.succeeded()


def test_the_waits_grow_to_the_longest(breaker, clock):
    """Between them one caller tries, and no other one."""
    for wait in (1, 2, 4, 5, 5, 5):
        assert breaker.allows()
        breaker.failed(OSError("gone"))
        clock.now += wait - 0.01
        assert not breaker.allows()
        clock.now += 0.01


def test_after_the_wait_one_tries(breaker, clock):
    """Of many threads."""
    breaker.failed(OSError("gone"))
    clock.now += 1
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda _: breaker.allows(), range(64)))
    assert sum(allowed) == 1


def test_who_never_tells_how_it_ended_is_not_waited_for(breaker, clock):
    """A thread that died with its try keeps nobody out for ever."""
    breaker.failed(OSError("gone"))
    clock.now += 1
    assert breaker.allows()
    clock.now += 5
    assert breaker.allows()


def test_success_ends_it(breaker, clock):
    """And the next failure begins with the shortest wait."""
    for _ in range(5):
        breaker.failed(OSError("gone"))
    clock.now += 5
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    breaker.failed(OSError("gone"))
    clock.now += 1
    assert breaker.allows()


def test_it_never_waits_for_longer_than_the_longest(breaker, clock):
    """However often it failed."""
    for _ in range(5000):
        breaker.failed(OSError("gone"))
    clock.now += 5
    assert breaker.allows()


def test_the_log_has_one_line_for_each_change(breaker, caplog):
    """And the error is on it."""
    with caplog.at_level(logging.INFO, "flaskreg"):
        for _ in range(4):
            breaker.failed(OSError("no route\nto host"))
        breaker.succeeded()
        breaker.succeeded()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "the backend does not answer, and is not waited for: no route to host",
        "the backend answers again",
    ]
