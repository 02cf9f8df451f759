"""When something is done again and again: ``6h``, or ``0 3 * * *`` as cron has it."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

from cronsim import CronSim
from cronsim import CronSimError

from flaskreg.config import ConfigError
from flaskreg.config.durations import parse_duration


#: the shortest interval, in seconds: what is done is not done in less.
SHORTEST = 60.0


class Timetable(ABC):
    """When something is done."""

    @abstractmethod
    def next(self, after: float | None, now: float) -> float:
        """Return when it is done next, in seconds since 1970.

        :param after: when it was done last; ``None`` for never.
        :param now: the time that it is.
        """


@dataclass(frozen=True, slots=True)
class Interval(Timetable):
    """At the start, and then each so many seconds."""

    seconds: float

    def next(self, after: float | None, now: float) -> float:
        """Return the end of the interval."""
        return now if after is None else after + self.seconds


@dataclass(frozen=True, slots=True)
class Cron(Timetable):
    """At the times of a cron expression, in UTC."""

    expression: str

    def next(self, after: float | None, now: float) -> float:
        """Return the first of its times after the last run."""
        start = datetime.fromtimestamp(now if after is None else after, UTC)
        return next(CronSim(self.expression, start)).timestamp()


def parse_timetable(text: str, key: str) -> Timetable:
    """Parse a Go duration or a cron expression of five fields.

    :param key: of the configuration, for the error.
    :raises ConfigError: it is neither, never comes, or comes too often.
    """
    if " " in text.strip():
        try:
            timetable = Cron(text.strip())
            timetable.next(None, 0.0)
        except (CronSimError, StopIteration) as error:
            reason = str(error) or "it never comes"
            raise ConfigError(
                f"{key}: {text!r} is no cron expression that comes ({reason}); "
                "0 3 * * * is each day at three, in UTC"
            ) from None
        return timetable
    try:
        seconds = parse_duration(text.strip())
    except ValueError as error:
        raise ConfigError(
            f"{key}: {text!r} {error}, or a cron expression such as 0 3 * * *"
        ) from None
    if seconds < SHORTEST:
        raise ConfigError(f"{key}: {text!r} is shorter than {SHORTEST:g}s")
    return Interval(seconds)
