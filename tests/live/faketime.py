"""A clock that a test sets, for one server.

libfaketime adjusts sleeps that go by the monotonic clock as well, which a clock that is
set does not do in the kernel. So the three calls that tell the time of day, and nothing
else, are taken by a library that is compiled here.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from .tools import need
from .tools import run


SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);
static volatile const long *ahead;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FLASKREG_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (file >= 0) {
        void *found = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        if (found != MAP_FAILED) ahead = found;
    }
}

int clock_gettime(clockid_t id, struct timespec *told) {
    if (!real) begin();
    int result = real(id, told);
    int wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
    if (result == 0 && wall && ahead) told->tv_sec += *ahead;
    return result;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *told, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


class FakeTime:
    """The clock of the processes that have its environment.

    :param folder: where its files go.
    """

    def __init__(self, folder: Path) -> None:
        self._library = folder / "clock.so"
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        source = folder / "clock.c"
        source.write_text(SOURCE)
        options = ["-shared", "-fPIC", "-O1", "-Wall", "-o", str(self._library)]
        run([need("cc"), *options, str(source), "-ldl"])

    def environment(self) -> dict[str, str]:
        """Return the variables of a process that goes by this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FLASKREG_TEST_CLOCK": str(self._file),
        }

    def jump(self, seconds: int) -> None:
        """Let it be so many seconds ahead of the real clock, from now on."""
        with (
            self._file.open("r+b") as file,
            mmap.mmap(file.fileno(), 8) as ahead,
        ):
            ahead[:] = struct.pack("=q", seconds)
