"""Locks between processes, notes, breakers and limits."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flaskreg_proxy import breaker as breakers
from flaskreg_proxy.breaker import Breaker
from flaskreg_proxy.budget import within
from flaskreg_proxy.diskroom import NoRoom
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.errors import UpstreamLimited
from flaskreg_proxy.errors import UpstreamTimeout
from flaskreg_proxy.errors import from_json
from flaskreg_proxy.freshness import Freshness
from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import Presence
from flaskreg_proxy.ratelimit import Limits
from flaskreg_proxy.ratelimit import parse_rate_limit
from flaskreg_proxy.ratelimit import parse_retry_after
from flaskreg_proxy.verdict import Verdict
from flaskreg_proxy.workplace import Workplace

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.errors import InsufficientStorage
from flaskreg.errors import RegistryError


def test_a_lease_has_one_holder(tmp_path: Path) -> None:
    path = str(tmp_path / "lease")
    lease = Lease.take(path)
    assert lease is not None
    assert Lease.take(path) is None
    assert Lease.take(path, 0.05) is None
    lease.release()
    lease.release()
    assert not os.path.exists(path)
    again = Lease.take(path)
    assert again is not None
    again.release()


def test_many_who_want_a_lease_have_it_in_turn(tmp_path: Path) -> None:
    """Also while its file is deleted and made again all the time."""
    path = str(tmp_path / "lease")
    inside: list[int] = []

    def work(number: int) -> int:
        lease = Lease.take(path, 60)
        assert lease is not None
        inside.append(number)
        assert inside == [number]
        time.sleep(0.001)
        inside.remove(number)
        lease.release()
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(64))) == list(range(64))
    assert os.listdir(tmp_path) == []


def hold(path: str, told: object) -> None:
    """Take a lease, say so, and never let go of it."""
    assert Lease.take(path) is not None
    told.set()  # type: ignore[attr-defined]
    time.sleep(600)


def test_a_lease_ends_with_its_process(tmp_path: Path) -> None:
    path = str(tmp_path / "lease")
    context = multiprocessing.get_context("spawn")
    told = context.Event()
    process = context.Process(target=hold, args=(path, told))
    process.start()
    try:
        assert told.wait(60)
        assert Lease.take(path) is None
    finally:
        process.kill()
        process.join()
    lease = Lease.take(path, 10)
    assert lease is not None
    lease.release()


def test_presence(tmp_path: Path) -> None:
    presence = Presence(str(tmp_path / "readers"))
    assert not presence.anybody()
    with presence.here():
        with presence.here():
            assert presence.anybody()
        assert presence.anybody()
    assert not presence.anybody()


def test_freshness(tmp_path: Path) -> None:
    """What one worker has looked up is fresh for all; what is gone was seen before."""
    first, second = (
        Freshness(Workplace(InMemoryDriver(), str(tmp_path))) for _ in range(2)
    )
    assert first.age("a", "v1") == float("inf")
    first.seen("a", "v1")
    assert second.age("a", "v1") < 60
    assert second.age("a", "v2") == second.age("b", "v1") == float("inf")
    path = next(path for path in tmp_path.rglob("*") if path.is_file())
    path.write_text(f"{time.time() - 5000:.3f}")
    os.utime(path, (1, 1))
    assert second.age("a", "v1") > 1_000_000
    second.asked("a", "v1")
    assert first.age("a", "v1") < 60
    assert 4900 < first.unseen("a", "v1") < 5100
    path.write_text("not a time")
    assert first.unseen("a", "v1") == 0


def test_a_breaker_opens_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One trial at a time; the time grows while it fails, and a success ends it."""
    now = [1000.0]
    monkeypatch.setattr(breakers.time, "monotonic", lambda: now[0])
    breaker = Breaker()
    for _ in range(breakers.FAILURES):
        breaker.check()
        breaker.failed(UpstreamTimeout())
    with pytest.raises(UpstreamTimeout) as caught:
        breaker.check()
    assert caught.value.headers["Retry-After"] == "5"
    now[0] += breakers.FIRST
    breaker.check()
    with pytest.raises(UpstreamFailed):
        breaker.check()
    breaker.failed(UpstreamFailed())
    now[0] += breakers.FIRST
    with pytest.raises(UpstreamFailed):
        breaker.check()
    now[0] += breakers.FIRST
    breaker.check()
    breaker.succeeded()
    breaker.check()
    assert not breaker.open
    for _ in range(40):
        breaker.failed(UpstreamFailed())
    now[0] += breakers.LONGEST
    breaker.check()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 10),
        ("", 10),
        ("17", 17),
        ("0", 0),
        ("-5", 10),
        ("nan", 10),
        ("inf", 10),
        ("99999999", 3600),
        ("tomorrow", 10),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 10),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 3600),
    ],
)
def test_retry_after(text: str | None, seconds: float) -> None:
    assert parse_retry_after(text) == seconds


@pytest.mark.parametrize(
    ("limit", "remaining", "expected"),
    [
        ("100;w=21600", "76;w=21600", (100, 76, 21600)),
        ("100", "76", (100, 76, 0)),
        (" 100 ; w=5", "0", (100, 0, 5)),
        ("many", "76", None),
        ("100", "", None),
    ],
)
def test_rate_limits(
    limit: str, remaining: str, expected: tuple[int, int, int] | None
) -> None:
    told = parse_rate_limit(
        {"RateLimit-Limit": limit, "RateLimit-Remaining": remaining}
    )
    found = told and (told.limit, told.remaining, told.window)
    assert found == expected
    assert parse_rate_limit({}) is None


def test_who_refused_is_not_asked_for_a_while() -> None:
    limits = Limits()
    limits.check()
    assert limits.refused("30").headers["Retry-After"] == "30"
    assert limits.spent
    with pytest.raises(UpstreamLimited):
        limits.check()


def test_errors_cross_processes() -> None:
    error = from_json(UpstreamLimited(7, "detail").to_json())
    assert (error.status, error.code) == (429, "TOOMANYREQUESTS")
    assert error.headers == {"Retry-After": "7"}
    assert error.detail == "detail"
    assert from_json({}).status == 502


@pytest.mark.parametrize(
    "error", [UpstreamLimited(7), InsufficientStorage(), NoRoom(), None]
)
def test_those_who_watch_hear_what_it_ended_in(
    tmp_path: Path, error: RegistryError | NoRoom | None
) -> None:
    verdict, other = (Verdict(str(tmp_path / "error")) for _ in range(2))
    verdict.clear()
    if error is None:
        other.raise_told()
        return
    verdict.tell(error)
    with pytest.raises((RegistryError, NoRoom)) as caught:
        other.raise_told()
    told = [getattr(it, "status", 0) for it in (caught.value, error)]
    assert told[0] == told[1]
    other.clear()
    verdict.raise_told()
    assert list(tmp_path.iterdir()) == []


def test_what_takes_too_long_is_not_waited_for() -> None:
    assert within(20, lambda: 5) == 5
    with pytest.raises(UpstreamTimeout):
        within(0.05, lambda: time.sleep(1))
    with pytest.raises(KeyError):
        within(20, lambda: {}["x"])
