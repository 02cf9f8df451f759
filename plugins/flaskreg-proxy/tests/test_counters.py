"""What is counted is shown over all processes, whatever becomes of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flaskreg_proxy import counters as names
from flaskreg_proxy import flaskreg_register_meters
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.meter import BREAKER
from flaskreg_proxy.meter import FAMILIES
from flaskreg_proxy.meter import measure
from flaskreg_proxy.ratelimit import RateLimit

from flaskreg.config import Settings
from flaskreg.runfolder import VARIABLE


#: counts in a process of its own, and is killed or waits for the end of its input.
PROGRAM = """
import os, signal, sys, time
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.ratelimit import RateLimit

counters = Counters(shown=True)
origin = counters.origin("hub")
counters.blobs.hit(1)
counters.start()
for _ in range(99):
    counters.blobs.hit(1)
origin.told(RateLimit(100, int(sys.argv[1]), 3600))
origin.left_alone(time.monotonic() + 3600)
print("counted", flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the processes of one server share."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which has counted 100 requests."""
    process = start_worker(77)
    yield process
    end(process)


def start_worker(remaining: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(remaining)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"counted\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=60)


def numbers() -> dict[tuple[str, ...], float]:
    return {(it.name, *it.labels.values()): it.value for it in measure()}


def test_all_processes_are_added_up(worker: subprocess.Popen[bytes]) -> None:
    """Those that were killed as well."""
    mine = Counters(shown=True)
    mine.origin("hub")
    mine.start()
    mine.blobs.missed(1000)
    for _ in range(2):
        found = numbers()
        assert found[names.REQUESTS, "blob"] == 101
        assert found[names.HITS, "blob"] == 100
        assert found[names.MISSES, "blob"] == 1
        assert found[names.PUSHED, "blob"] == 1100
        end(worker)
    assert worker.returncode < 0


def test_a_process_that_ended_leaves_nobody_alone(
    worker: subprocess.Popen[bytes],
) -> None:
    """Its circuit breakers ended with it."""
    assert numbers()[BREAKER, "hub"] == 1
    end(worker)
    assert numbers()[BREAKER, "hub"] == 0


@pytest.mark.usefixtures("worker")
def test_the_last_word_of_an_upstream_holds() -> None:
    """Whoever heard it."""
    assert numbers()["flaskreg_proxy_ratelimit_remaining", "hub"] == 77
    mine = Counters(shown=True)
    mine.origin("silent")
    origin = mine.origin("hub")
    mine.start()
    assert numbers()["flaskreg_proxy_ratelimit_remaining", "hub"] == 77
    origin.told(RateLimit(200, 5, 60))
    found = numbers()
    assert found["flaskreg_proxy_ratelimit_limit", "hub"] == 200
    assert found["flaskreg_proxy_ratelimit_remaining", "hub"] == 5
    assert found["flaskreg_proxy_ratelimit_window_seconds", "hub"] == 60
    assert ("flaskreg_proxy_ratelimit_remaining", "silent") not in found


def test_a_forked_process_counts_for_itself() -> None:
    """What was counted before it is counted once."""
    counters = Counters(shown=True)
    counters.start()
    counters.blobs.hit(1)
    child = os.fork()
    if not child:
        counters.start()
        counters.blobs.hit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert numbers()[names.REQUESTS, "blob"] == 2


def test_every_metric_is_there_before_anything_happened() -> None:
    counters = Counters(shown=True)
    counters.origin("hub")
    counters.start()
    found = list(measure())
    assert FAMILIES.keys() <= {it.name for it in found}
    assert {it.value for it in found} == {0}


def test_nothing_is_written_where_nobody_reads(run_folder: Path) -> None:
    counters = Counters()
    counters.start()
    counters.blobs.hit(7)
    assert counters.value(names.PUSHED, "blob") == 7
    assert list(run_folder.iterdir()) == []
    assert list(measure()) == []


def test_a_file_that_is_being_made_counts_nothing(run_folder: Path) -> None:
    counters = Counters(shown=True)
    counters.start()
    counters.start()
    (folder,) = run_folder.iterdir()
    (written,) = folder.iterdir()
    content = written.read_bytes()
    for count, length in enumerate((0, content.index(b"\n"), len(content) - 8), 1):
        (folder / "new.tally").write_bytes(content[:length])
        counters.blobs.hit(0)
        assert numbers()[names.REQUESTS, "blob"] == count


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1"])
def test_there_are_numbers_where_there_is_a_cache(url: str) -> None:
    settings = Settings.model_validate({"proxy": {"remoteurl": url}})
    assert bool(flaskreg_register_meters(settings)) is bool(url)
