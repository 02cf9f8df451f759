"""Room on the disk for a file, had before its first byte comes."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache


#: Linux: the size of the file stays as it is.
_KEEP_SIZE = 1
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def reserve(descriptor: int, size: int) -> bool:
    """Have the disk keep room for a file that will have *size* bytes.

    The file's own size stays. Where the file system reserves nothing, what is free now
    decides.

    :returns: whether there is room.
    """
    missing = size - taken(os.fstat(descriptor))
    if missing <= 0:
        return True
    allocate = _fallocate()
    if allocate is not None:
        if allocate(descriptor, _KEEP_SIZE, 0, size) == 0:
            return True
        if ctypes.get_errno() in _FULL:
            return False
    found = os.fstatvfs(descriptor)
    return found.f_bavail * found.f_frsize >= missing


def give_back(descriptor: int) -> None:
    """Let go of what is reserved beyond the end of a file."""
    os.ftruncate(descriptor, os.fstat(descriptor).st_size)


def taken(found: os.stat_result) -> int:
    """Return the bytes that a file takes on the disk, reserved ones too."""
    return max(found.st_size, found.st_blocks * 512)


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    function.restype = ctypes.c_int
    found: Callable[[int, int, int, int], int] = function
    return found
