"""Clocks that jump, while somebody schedules and while nobody does."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from cached import DAY
from cached import Now
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.clock import is_alive
from flaskreg_proxy.scheduling.clock import process_space
from flaskreg_proxy.scheduling.lease import clock_was_set


WEEK = Limits(ttl=7 * DAY)
YEARS = 50 * 365 * DAY
JUMPS = pytest.mark.parametrize("jump", [YEARS, -YEARS, 3 * DAY, -3 * DAY, 30.0])


def go_on(cached, clock, digest, left):
    """Check that content stays for as long as it has left, and goes then."""
    cached.ticks()
    assert cached.stored(digest), "it is not wiped"
    clock.now += left - 60
    cached.ticks()
    assert cached.stored(digest)
    clock.now += 120
    cached.ticks()
    assert not cached.stored(digest), "it is not frozen"


@JUMPS
def test_a_jump_while_the_scheduler_runs(make_cached, clock, jump):
    """Lifetimes are measured by a clock that nobody sets."""
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.ticks()
    clock.now += 2 * DAY
    clock.ahead += jump
    go_on(cached, clock, digest, 5 * DAY)


@JUMPS
def test_a_jump_between_two_runs(make_cached, clock, jump):
    """The machine knows how much time has passed since it was started."""
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.scheduler.close()
    clock.now += 2 * DAY
    clock.ahead += jump
    go_on(make_cached(WEEK), clock, digest, 5 * DAY)


@pytest.mark.parametrize("jump", [YEARS, -YEARS, 40 * DAY, -40 * DAY])
def test_a_jump_while_the_machine_is_started_anew(make_cached, clock, jump):
    """Nothing tells how much time has passed: not more than a little counts."""
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.scheduler.close()
    other = Now(steady=10.0, wall=clock.wall() + jump)
    other.run = "two"
    again = make_cached(WEEK, clock=other)
    again.ticks()
    assert again.stored(digest)
    other.now += 6 * DAY
    again.ticks()
    assert again.stored(digest)
    other.now += DAY + 60
    again.ticks()
    assert not again.stored(digest)


def test_a_machine_that_was_started_anew_soon(make_cached, clock):
    """The time that it was off counts."""
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.scheduler.close()
    other = Now(steady=10.0, wall=clock.wall() + 3600)
    other.run = "two"
    go_on(make_cached(WEEK, clock=other), other, digest, 7 * DAY - 3600)


@JUMPS
def test_what_is_written_for_distribution_follows_the_clock(make_cached, clock, jump):
    """It has the wall clock alone: what is left is the same on it."""
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.ticks()
    clock.now += 2 * DAY
    cached.ticks()
    clock.ahead += jump
    cached.scheduler.close()
    (value,) = json.loads(cached.state()).values()
    expiry = datetime.fromisoformat(value["ExpiryData"]).timestamp()
    if clock.wall() > 0:
        assert expiry == pytest.approx(clock.wall() + 5 * DAY, abs=5)
    go_on(make_cached(WEEK), clock, digest, 5 * DAY)


def test_nothing_known_of_the_clock():
    """Then it was not set."""
    assert clock_was_set({}, Now(), None, 3600) == 0
    assert clock_was_set({"wall": "late", "boot": 7}, Now(), None, 3600) == 0


def test_the_machines_own_clock():
    """It tells the boot and the space of process ids on Linux."""
    clock = Clock()
    first = clock.steady()
    assert first <= clock.steady()
    assert clock.wall() > 1_700_000_000
    assert clock.boot() == Clock().boot()
    assert process_space(clock).startswith(clock.boot())
    assert is_alive(1)
    assert not is_alive(2**22 + 1)
