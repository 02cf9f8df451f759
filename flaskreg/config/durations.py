"""Durations as Go writes them: ``10s``, ``1h30m``, ``250ms``."""

from __future__ import annotations

import re
from fractions import Fraction


_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)"
_PARTS = re.compile(_PART, re.ASCII)
_DURATION = re.compile(rf"([-+]?)((?:{_PART})+|0)", re.ASCII)
_LONGEST = 2**63 - 1


def parse_duration(text: str) -> float:
    """Return the seconds that a Go duration string stands for.

    :param text: one or more numbers with units, as in ``1h30m``; or ``0``.
    :raises ValueError: with what would be right when the text is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be a duration with a unit, such as 10s or 1h30m")
    nanoseconds = sum(
        int(Fraction(number) * _NANOSECONDS[unit])
        for number, unit in _PARTS.findall(match[2])
    )
    if nanoseconds > _LONGEST:
        raise ValueError("must be a duration of less than 292 years")
    return from_nanoseconds(-nanoseconds if match[1] == "-" else nanoseconds)


def from_nanoseconds(count: int) -> float:
    """Return a count of nanoseconds, Go's bare integer, as seconds."""
    return count / 1_000_000_000


def format_duration(seconds: float) -> str:
    """Return seconds as the shortest Go duration string, for example ``1m30s``."""
    count = round(seconds * 1_000_000_000)
    if count < 0:
        return "-" + format_duration(-seconds)
    if count == 0:
        return "0s"
    if count < _NANOSECONDS["s"]:
        return _below_a_second(count)
    hours, count = divmod(count, _NANOSECONDS["h"])
    minutes, count = divmod(count, _NANOSECONDS["m"])
    parts = ((hours, "h"), (minutes, "m"))
    text = "".join(f"{number}{unit}" for number, unit in parts if number)
    return text + (_decimal(count, "s") if count else "")


def _below_a_second(count: int) -> str:
    for unit in ("ms", "us"):
        if count >= _NANOSECONDS[unit]:
            return _decimal(count, unit)
    return f"{count}ns"


def _decimal(count: int, unit: str) -> str:
    whole, rest = divmod(count, _NANOSECONDS[unit])
    if not rest:
        return f"{whole}{unit}"
    width = len(str(_NANOSECONDS[unit])) - 1
    fraction = f"{rest:0{width}d}".rstrip("0")
    return f"{whole}.{fraction}{unit}"
