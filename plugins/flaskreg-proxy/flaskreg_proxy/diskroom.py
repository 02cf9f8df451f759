"""Room for a download: in the cache, and on the disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager

from flaskreg.driver import StorageFull
from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lifetimes import Lifetimes
from flaskreg_proxy.reserve import give_back
from flaskreg_proxy.reserve import reserve
from flaskreg_proxy.workplace import Workplace


#: how long a download waits until there is room for it in the cache, in seconds.
PATIENCE = 10.0

#: the lock of what is on the disk beyond the cache's bound for a while.
_OVERFLOW = "overflow"


class NoRoom(Exception):
    """There is no room, not even for a moment."""


def is_full(error: Exception) -> bool:
    """Whether an error says that a disk has no room."""
    number = getattr(error, "errno", None)
    return isinstance(error, StorageFull) or number in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room_for(
    descriptor: int, size: int, lifetimes: Lifetimes, workplace: Workplace
) -> Iterator[bool]:
    """Have room for a file of *size* bytes, and yield whether it may stay.

    What the cache has no room for takes some of the disk's until it is passed on. One
    file of the machine does so at a time, so that the bound is exceeded by no more.

    :param descriptor: the open file.
    :raises NoRoom: the disk is full, or the place of that one file is taken.
    """
    with lifetimes.room(size, PATIENCE) as stays, ExitStack() as held:
        if not stays:
            lease = Lease.take(workplace.lock(_OVERFLOW))
            if lease is None:
                raise NoRoom
            held.callback(lease.release)
        if not reserve(descriptor, size):
            raise NoRoom
        try:
            yield stays
        except BaseException:
            give_back(descriptor)
            raise
