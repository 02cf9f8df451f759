"""A folder that the processes of one server share while it runs.

It lies in memory where the system has such a place. The process that makes it locks a
file in it, and so do all that it forks: what nobody locks belongs to a server that was
killed, and is removed by the next one.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path


#: the environment variable that names the folder; whoever runs several processes
#: without gunicorn sets it.
VARIABLE = "FLASKREG_RUN_FOLDER"

#: the environment variable that says which process made it.
OWNER = "FLASKREG_RUN_OWNER"

_PREFIX = "flaskreg-run-"
_LOCK = "alive"


def run_folder(environ: MutableMapping[str, str] | None = None) -> Path:
    """Return the folder of this server, made when there is none yet.

    :param environ: the environment; that of the process when ``None``.
    """
    environ = os.environ if environ is None else environ
    found = _given(environ)
    if found is None:
        found = _make()
        environ[VARIABLE], environ[OWNER] = str(found), str(os.getpid())
    return found


def _given(environ: Mapping[str, str]) -> Path | None:
    """Return the folder that the environment names, unless another server made it."""
    named, owner = environ.get(VARIABLE), environ.get(OWNER)
    if not named or (owner and int(owner) not in (os.getpid(), os.getppid())):
        return None
    folder = Path(named)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _make() -> Path:
    base = Path("/dev/shm")
    if not os.access(base, os.W_OK | os.X_OK):
        base = Path(tempfile.gettempdir())
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(base: Path) -> None:
    """Remove the folders of servers that were killed, as far as they are our own."""
    for lock in base.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):
            if lock.lstat().st_uid != os.geteuid():
                continue
            file = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(file)
