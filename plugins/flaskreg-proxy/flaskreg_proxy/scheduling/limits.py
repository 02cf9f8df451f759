"""What bounds a cache, and how often the scheduler looks."""

from __future__ import annotations

import os
from dataclasses import dataclass

from flaskreg.config import ConfigError
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling.places import STATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a cache, beside the storage.

    :param ttl: seconds that content is kept after its last use; ``None`` for ever.
    :param max_bytes: bytes of all content; ``None`` without a bound.
    :param high: the part of *max_bytes* from which content is removed.
    :param low: the part of *max_bytes* down to which it is removed then.
    :param min_free: bytes that stay free on the disk; ``None`` without a bound.
    :raises ConfigError: a limit makes no sense.
    """

    ttl: float | None = None
    max_bytes: int | None = None
    high: float = 0.95
    low: float = 0.85
    min_free: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high <= 1:
            raise ConfigError(
                f"cache: low water {self.low} and high water {self.high} are to be "
                "parts of max_bytes, as 0.85 and 0.95"
            )
        for name in ("max_bytes", "min_free"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"cache.{name}: {value} is not a size above 0")

    @property
    def lifetime(self) -> float | None:
        """Return the seconds that content is kept; distribution's 0 is for ever."""
        return self.ttl if self.ttl is not None and self.ttl > 0 else None

    @property
    def bounded(self) -> bool:
        """Whether anything is ever to be removed."""
        return bool(self.lifetime or self.max_bytes or self.min_free)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often workers look into the storage, in seconds.

    :param beat: between two looks of a worker.
    :param expiry: after which a worker or a holder without a sign of life is dead.
    :param save: between two writes of the state; journals keep what is newer.
    :param renew: between two notes of the use of one content.
    :param spare: that content is left alone which was in use, or could not be removed.
    :param batch: entries that are removed at once.
    """

    beat: float = 1.0
    expiry: float = 30.0
    save: float = 60.0
    renew: float = 15.0
    spare: float = 30.0
    batch: int = 256


def pace_for(driver: StorageDriver) -> Pace:
    """Return a pace that suits a driver: each look into an object store costs."""
    if driver.renames:
        return Pace()
    return Pace(beat=10.0, expiry=120.0, save=300.0, renew=60.0)


def free_bytes(driver: StorageDriver) -> int | None:
    """Return what is free on the disk of a driver of files, or ``None``."""
    state = driver.filename(STATE)
    if state is None:
        return None
    root = os.path.dirname(state)
    while not os.path.isdir(root):
        # It is made when something is written first.
        root = os.path.dirname(root)
    try:
        found = os.statvfs(root)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
