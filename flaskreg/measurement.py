"""Measurements: numbers that somebody reads now and then, as a metrics page does."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number, by a name in the way of Prometheus.

    Measurements of one name have one kind, one sentence and the same labels.
    """

    name: str
    #: a ``counter`` only grows; ``unknown`` is for a name that says something else.
    kind: Literal["counter", "gauge", "unknown"]
    #: the sentence that says what is counted.
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


#: returns numbers that hold for the whole server; called in one of its processes.
Meter = Callable[[], Iterable[Measurement]]
