"""Every path that is ours alone, beside the layout that distribution knows.

::

    /flaskreg/
      readonly
      purges/<number>
      sweep/
        active/<run>
        runs/<run>/
          spared/<algorithm>-<hex>
          sweeping/<algorithm>-<hex>
      quarantine/<algorithm>-<hex>
      restored/<algorithm>-<hex>

CNCF distribution never looks there.
"""

from __future__ import annotations

from flaskreg.digest import Digest


_ROOT = "/flaskreg"

#: exists while the registry only serves.
READ_ONLY = f"{_ROOT}/readonly"
#: one small file for each time that unfinished uploads were looked at.
PURGES = f"{_ROOT}/purges"
#: one empty file for each garbage collection that is under way.
SWEEPS = f"{_ROOT}/sweep/active"
SWEEP_RUNS = f"{_ROOT}/sweep/runs"
#: where damaged content is put.
QUARANTINE = f"{_ROOT}/quarantine"


def _flat(digest: Digest) -> str:
    return digest.replace(":", "-", 1)


def purge(number: int) -> str:
    """Return what says that the unfinished uploads were looked at."""
    return f"{PURGES}/{number}"


def active_sweep(run: str) -> str:
    """Return what exists while one garbage collection is under way."""
    return f"{SWEEPS}/{run}"


def sweep_run(run: str) -> str:
    """Return the directory of the marks of one garbage collection."""
    return f"{SWEEP_RUNS}/{run}"


def spared(run: str, digest: Digest) -> str:
    """Return what keeps a digest from one garbage collection."""
    return f"{sweep_run(run)}/spared/{_flat(digest)}"


def sweeping(run: str, digest: Digest) -> str:
    """Return what exists while one garbage collection deletes a digest."""
    return f"{sweep_run(run)}/sweeping/{_flat(digest)}"


def quarantined(digest: Digest) -> str:
    """Return where damaged content is put."""
    return f"{QUARANTINE}/{_flat(digest)}"


def restored(digest: Digest) -> str:
    """Return where content is that is being brought back."""
    return f"{_ROOT}/restored/{_flat(digest)}"
