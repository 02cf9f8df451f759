"""The time that lifetimes are measured in, which no change of the clock disturbs."""

from __future__ import annotations

import os
import time


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """The wall clock, and a steady one beside it.

    Lifetimes are counted in steady seconds. The wall clock is asked only where times
    are written for others: in distribution's state file and in logs.
    """

    def wall(self) -> float:
        """Return seconds since 1970; jumps when somebody sets the clock."""
        return time.time()

    def steady(self) -> float:
        """Return seconds since the machine was started, its sleep included.

        All processes of one boot (see :meth:`boot`) have the same count.
        """
        return time.clock_gettime(_STEADY)

    def boot(self) -> str:
        """Return what names this run of the machine, or ``""`` when nothing does."""
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read(64).strip()
        except OSError:
            return ""


def process_space(clock: Clock) -> str:
    """Return what names the space in which process ids are unique, or ``""``.

    Two containers of one machine have a boot in common and process ids apart.
    """
    boot = clock.boot()
    try:
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}" if boot else ""
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process of this space runs, as far as can be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
