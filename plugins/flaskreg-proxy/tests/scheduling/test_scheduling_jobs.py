"""What is done on a timetable, once for all workers."""

from __future__ import annotations

import threading
from datetime import UTC
from datetime import datetime

import pytest
from actors import wait_for
from cached import DAY
from cached import QUICK
from cached import Cached
from flaskreg_proxy.scheduling import Job
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling import parse_timetable
from flaskreg_proxy.scheduling.lease import process_marks
from flaskreg_proxy.scheduling.timetable import Interval

from flaskreg.config import ConfigError


NOW = datetime(2027, 3, 1, 12, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 3 * * *", datetime(2027, 3, 2, 3, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2027, 3, 1, 12, 45, tzinfo=UTC)),
        (" 0 0 1 1 * ", datetime(2028, 1, 1, tzinfo=UTC)),
        ("0 12 * * SUN", datetime(2027, 3, 7, 12, tzinfo=UTC)),
    ],
)
def test_cron_expressions(text, expected):
    """Five fields, in UTC; the first time after the last run, or after the start."""
    timetable = parse_timetable(text, "key")
    assert timetable.next(None, NOW) == expected.timestamp()
    assert timetable.next(NOW, NOW + 1000 * DAY) == expected.timestamp()


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21600), ("1h30m", 5400)])
def test_intervals(text, seconds):
    """They begin at the start."""
    timetable = parse_timetable(text, "key")
    assert timetable == Interval(seconds)
    assert timetable.next(None, NOW) == NOW
    assert timetable.next(NOW, NOW + 1) == NOW + seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "often",
        "1s",
        "-6h",
        "60",
        "0 3 * *",
        "61 * * * *",
        "0 0 31 2 *",
        "* * * * x",
    ],
)
def test_timetables_that_make_no_sense(text):
    """They are told with the key and what would be right."""
    with pytest.raises(ConfigError, match=r"^proxy\.mirror\.schedule: "):
        parse_timetable(text, "proxy.mirror.schedule")


@pytest.fixture
def make_worker(driver, clock):
    """Return a function that makes a worker with a job, and what it has run."""
    made, runs = [], []

    def make(timetable="6h", run=None):
        def noted(go_on):
            runs.append(clock.now)
            if run is not None:
                run(go_on)

        job = Job("fill", parse_timetable(timetable, "key"), noted)
        worker = Cached(driver, Limits(), clock, jobs=[job])
        made.append(worker)
        return worker

    make.runs = runs
    yield make
    for worker in made:
        worker.scheduler.close()


def idle(*workers):
    """Wait until no job runs."""
    for worker in workers:
        for thread in worker.scheduler._here()._tools.jobs._running.values():
            thread.join(30)


def test_one_worker_runs_it(make_worker, clock):
    """At each of its times once, also when the lease changes hands, or all restart."""
    first, second = make_worker(), make_worker()
    for _ in range(3):
        for worker in (first, second):
            worker.ticks(1)
            idle(worker)
    assert len(make_worker.runs) == 1
    first.scheduler.close()
    second.ticks(2)
    idle(second)
    assert len(make_worker.runs) == 1
    clock.now += 6 * 3600
    second.ticks(2)
    idle(second)
    assert len(make_worker.runs) == 2
    second.scheduler.close()
    third = make_worker()
    third.ticks(2)
    idle(third)
    assert len(make_worker.runs) == 2


def test_cron_waits_for_its_time(make_worker, clock):
    """And one that was missed is done once."""
    worker = make_worker("0 3 * * *")
    worker.ticks(2)
    assert make_worker.runs == []
    clock.now += 5 * DAY
    worker.ticks(1)
    idle(worker)
    worker.ticks(1)
    idle(worker)
    assert len(make_worker.runs) == 1


def test_a_clock_that_is_set_back(make_worker, clock):
    """It is done again an interval later, and not years."""
    worker = make_worker()
    worker.ticks(1)
    idle(worker)
    clock.ahead -= 1000 * DAY
    for _ in range(2):
        clock.now += 6 * 3600 + 1
        worker.ticks(1)
        idle(worker)
    assert len(make_worker.runs) >= 2


def test_a_run_does_not_overlap(make_worker, clock):
    """Nor does it hold the scheduler up; at the end it is asked to end."""
    begun, ended = threading.Event(), []

    def run(go_on):
        begun.set()
        wait_for(lambda: not go_on())
        ended.append(True)

    worker = make_worker(run=run)
    worker.ticks(1)
    assert begun.wait(30)
    clock.now += 2 * DAY
    worker.ticks(3)
    assert len(make_worker.runs) == 1
    worker.scheduler.close()
    assert ended == [True]


def test_a_run_that_fails(make_worker, clock, caplog):
    """It is told, and done again in its time."""

    def run(go_on):
        del go_on
        raise RuntimeError("the upstream is down")

    worker = make_worker(run=run)
    worker.ticks(2)
    idle(worker)
    assert "the upstream is down" in caplog.text
    worker.ticks(2)
    idle(worker)
    assert len(make_worker.runs) == 1
    clock.now += 6 * 3600
    worker.ticks(1)
    idle(worker)
    assert len(make_worker.runs) == 2


def test_a_run_that_was_cut_off_is_begun_again(make_worker, driver, clock, monkeypatch):
    """At once, when its process is gone."""
    monkeypatch.setattr(
        "flaskreg_proxy.scheduling.lease.process_space", lambda _: "here"
    )
    worker = make_worker()
    worker.ticks(1)
    idle(worker)
    jobs = worker.scheduler._here()._tools.jobs
    (job,) = jobs._jobs
    jobs._note(job, {**process_marks(clock), "begun": clock.wall(), "pid": 2**22 + 1})
    worker.ticks(1)
    idle(worker)
    assert len(make_worker.runs) == 2
    driver.put_content(job.path, b"damaged")
    clock.now += QUICK.expiry
    worker.ticks(1)
    idle(worker)
    assert len(make_worker.runs) == 3
