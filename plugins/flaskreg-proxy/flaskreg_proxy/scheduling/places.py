"""Every path of the scheduler in the storage.

::

    /scheduler-state.json             distribution's own file, see statefile
    /flaskreg-scheduler/
      lease/<generation>              who schedules: the highest generation does
      control                         what the holder of the lease tells all workers
      workers/<worker>/
        beat                          that a worker lives, and what it acknowledges
        journal-<sequence>            what it has used; written once
      ballast                         given back when the disk is full
      jobs/<job>                      when a job was run last
      vetoes/<algorithm>-<hex>        content that came into use at the last moment

Each file has one writer. Nothing is read, changed and written back.
"""

from __future__ import annotations

from flaskreg.digest import Digest


STATE = "/scheduler-state.json"
ROOT = "/flaskreg-scheduler"
LEASES = f"{ROOT}/lease"
CONTROL = f"{ROOT}/control"
WORKERS = f"{ROOT}/workers"
BALLAST = f"{ROOT}/ballast"
VETOES = f"{ROOT}/vetoes"
JOURNAL = "journal-"


def lease(generation: int) -> str:
    """Return the path of one generation of the lease; names sort as numbers do."""
    return f"{LEASES}/{generation:016d}"


def worker(name: str) -> str:
    """Return the directory of a worker."""
    return f"{WORKERS}/{name}"


def beat(name: str) -> str:
    """Return the path of a worker's sign of life."""
    return f"{worker(name)}/beat"


def journal(name: str, sequence: int) -> str:
    """Return the path of one piece of a worker's journal."""
    return f"{worker(name)}/{JOURNAL}{sequence:016d}"


def job(name: str) -> str:
    """Return the path of the note of a job's last run."""
    return f"{ROOT}/jobs/{name}"


def veto(digest: Digest) -> str:
    """Return the path of the veto on removing content."""
    return f"{VETOES}/{digest.replace(':', '-', 1)}"
