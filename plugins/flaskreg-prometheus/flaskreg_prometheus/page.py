"""The page that Prometheus reads: all processes added up, and what is measured now."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client import make_wsgi_app
from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric
from prometheus_client.core import UnknownMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from flaskreg.measurement import Measurement
from flaskreg.measurement import Meter
from flaskreg_prometheus.metrics import FOLDER
from flaskreg_prometheus.metrics import Metrics


#: the file of a gauge that counts as long as its process lives.
_LIVE = re.compile(r"gauge_live[a-z]*_(\d+)\.db")

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def make_page(
    metrics: Metrics, meters: Sequence[Meter]
) -> Callable[..., Iterable[bytes]]:
    """Return the page.

    :param metrics: what this process counts.
    :param meters: what is measured when the page is read.
    """
    folder = os.environ.get(FOLDER)
    registry = metrics.registry
    if folder:
        registry = CollectorRegistry()
        registry.register(Workers(Path(folder)))
    # A collector without a method ``describe`` is asked only when the page is read.
    registry.register(Measured(meters))
    page: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)
    return page


class Workers:
    """Adds up the files of all processes, and tells what the living ones use.

    :param folder: where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is, is known when it is collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all processes."""
        self._forget_the_dead()
        collector: Any = MultiProcessCollector
        yield from collector(None, str(self._folder)).collect()
        yield from _usage(self._pids())

    def _pids(self) -> list[int]:
        found = set()
        for file in self._folder.iterdir():
            match = _LIVE.fullmatch(file.name)
            if match is not None and _serves(int(match[1])):
                found.add(int(match[1]))
        return sorted(found)

    def _forget_the_dead(self) -> None:
        """Remove the gauges of processes that ended, however they did."""
        for file in self._folder.iterdir():
            match = _LIVE.fullmatch(file.name)
            if match is not None and not _lives(int(match[1])):
                file.unlink(missing_ok=True)


class Measured:
    """Asks meters when the page is read.

    :param meters: in their order.
    """

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters = meters

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is, is known when it is collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield a family for each name."""
        families: dict[str, Any] = {}
        for meter in self._meters:
            for each in meter():
                family = families.setdefault(each.name, _family(each))
                family.add_metric(list(each.labels.values()), each.value)
        yield from families.values()


_FAMILIES: Mapping[str, Callable[..., Metric]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "unknown": UnknownMetricFamily,
}


def _family(first: Measurement) -> Metric:
    return _FAMILIES[first.kind](first.name, first.help, labels=list(first.labels))


def _usage(pids: Sequence[int]) -> Iterator[Metric]:
    """Yield what the worker processes use, from ``/proc`` where there is one."""
    cpu = resident = files = 0.0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            cpu += (int(stat[11]) + int(stat[12])) / _TICKS
            resident += int(stat[21]) * _PAGE
            files += len(os.listdir(f"/proc/{pid}/fd"))
    yield GaugeMetricFamily(
        "flaskreg_workers", "Worker processes that have served requests.", len(pids)
    )
    yield GaugeMetricFamily(
        "flaskreg_workers_cpu_seconds",
        "CPU time of the worker processes that live now.",
        cpu,
    )
    yield GaugeMetricFamily(
        "flaskreg_workers_resident_memory_bytes",
        "Resident memory of the worker processes.",
        resident,
    )
    yield GaugeMetricFamily(
        "flaskreg_workers_open_fds", "Open files of the worker processes.", files
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int) -> bool:
    """Whether a process is a worker, and not the one that forks them."""
    return _lives(pid) and pid != os.getppid()
