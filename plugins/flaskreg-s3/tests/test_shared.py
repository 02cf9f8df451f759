"""One question for all who ask at the same time, and never an answer from before."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flaskreg_s3 import shared
from flaskreg_s3.shared import Shared


WAIT = 30


@pytest.fixture
def pool():
    """Return threads."""
    with ThreadPoolExecutor(16) as made:
        yield made


class Slow:
    """A storage of one value, whose questions are answered when they are let go.

    What they answer is what there was when they were put.
    """

    def __init__(self):
        self.value = 0
        self.put = []
        self.arrived = threading.Semaphore(0)
        self.free = threading.Semaphore(0)

    def __call__(self):
        seen = self.value
        self.put.append(seen)
        self.arrived.release()
        assert self.free.acquire(timeout=WAIT)
        if isinstance(seen, Exception):
            raise seen
        return seen

    def wait_for_one(self):
        """Wait until a question is put."""
        assert self.arrived.acquire(timeout=WAIT)


def let_join(asked, count):
    """Wait until so many threads have joined the question that is open."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if asked.joined >= count:
            return
        time.sleep(0.001)
    raise AssertionError("nobody joins")


class Counted(Shared):
    """Counts who joins a question."""

    joined = 0

    def _join(self, question, ask):
        self.joined += 1
        return super()._join(question, ask)


@pytest.fixture
def patient(monkeypatch):
    """Let questions wait for the one before them as long as it takes."""
    monkeypatch.setattr(shared, "GATHERING", WAIT)
    monkeypatch.setattr(shared, "PATIENCE", WAIT)


@pytest.mark.usefixtures("patient")
def test_who_comes_meanwhile_shares_the_next_question(pool):
    """What was changed after the first question was put is seen by all of them."""
    asked, slow = Counted(), Slow()
    first = pool.submit(asked.ask, "a", slow)
    slow.wait_for_one()
    slow.value = 1
    others = [pool.submit(asked.ask, "a", slow) for _ in range(8)]
    let_join(asked, 7)
    slow.free.release()
    slow.wait_for_one()
    slow.free.release()
    assert first.result(WAIT) == 0
    assert [other.result(WAIT) for other in others] == [1] * 8
    assert slow.put == [0, 1]


@pytest.mark.usefixtures("patient")
def test_an_error_is_raised_for_all(pool):
    """And the next question is a new one."""
    asked, slow = Counted(), Slow()
    first = pool.submit(asked.ask, "a", slow)
    slow.wait_for_one()
    slow.value = LookupError("meant")
    others = [pool.submit(asked.ask, "a", slow) for _ in range(4)]
    let_join(asked, 3)
    slow.free.release(2)
    assert first.result(WAIT) == 0
    for other in others:
        with pytest.raises(LookupError):
            other.result(WAIT)
    assert len(slow.put) == 2
    assert asked.ask("a", lambda: 7) == 7


@pytest.mark.usefixtures("patient")
def test_other_questions_do_not_wait(pool):
    """One key has nothing to do with another."""
    asked, slow = Shared(), Slow()
    first = pool.submit(asked.ask, "a", slow)
    slow.wait_for_one()
    assert asked.ask("b", lambda: 5) == 5
    slow.free.release()
    assert first.result(WAIT) == 0


def test_a_question_that_stalls_holds_up_none_that_follows(pool):
    """They wait for it no longer than a moment."""
    asked, slow = Shared(), Slow()
    first = pool.submit(asked.ask, "a", slow)
    slow.wait_for_one()
    others = [pool.submit(asked.ask, "a", lambda: 5) for _ in range(8)]
    assert [other.result(WAIT) for other in others] == [5] * 8
    slow.free.release()
    assert first.result(WAIT) == 0


@pytest.mark.usefixtures("patient")
def test_who_joined_a_question_that_stalls_asks_for_himself(pool, monkeypatch):
    """After a while."""
    asked, slow = Counted(), Slow()
    monkeypatch.setattr(shared, "PATIENCE", 0.05)
    first = pool.submit(asked.ask, "a", slow)
    slow.wait_for_one()
    following = pool.submit(asked.ask, "a", slow)
    while "a" not in asked._open:
        time.sleep(0.001)
    assert asked.ask("a", lambda: 5) == 5
    slow.free.release(2)
    assert (first.result(WAIT), following.result(WAIT)) == (0, 0)


def test_nobody_is_told_of_an_earlier_time(pool):
    """Of many who ask and change, each sees what was there when he asked."""
    asked = Shared()
    value = 0

    def question():
        seen = value
        time.sleep(0.0005)
        return seen

    def work(number):
        nonlocal value
        for _ in range(60):
            if not number:
                value += 1
            before = value
            assert asked.ask("a", question) >= before

    for done in [pool.submit(work, number) for number in range(16)]:
        done.result(WAIT)
    assert (asked._put, asked._open) == ({}, {})
