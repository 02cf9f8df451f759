"""Upload sessions that nobody goes on with.

The last activity of a session is the latest change of any file of it, so that a push
that takes days is not cut off, and its age is what counts. CNCF distribution goes by
the time at which a session was started.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta

from flaskreg.driver import FileInfo
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import paths
from flaskreg.upkeep.survey import iter_repositories


@dataclass(frozen=True, slots=True)
class StaleUpload:
    """A session without activity for too long."""

    repository: str
    id: str
    #: of its data, in bytes.
    size: int
    #: the last activity; has a zone.
    active: datetime


def iter_stale(
    driver: StorageDriver, now: datetime, age: float
) -> Iterator[StaleUpload]:
    """Yield the sessions of all repositories that have been idle for too long.

    :param now: as the storage has it.
    :param age: in seconds.
    """
    for name in iter_repositories(driver):
        with suppress(PathNotFound):
            for session in sorted(driver.list(paths.uploads(name))):
                found = _look(driver, name, session)
                if found is not None and now - found.active > timedelta(seconds=age):
                    yield found


def purge(
    driver: StorageDriver, upload: StaleUpload, now: datetime, age: float
) -> bool:
    """Delete a session, unless somebody went on with it meanwhile.

    :returns: whether it was deleted here.
    """
    again = _look(driver, upload.repository, upload.id)
    if again is None or now - again.active <= timedelta(seconds=age):
        return False
    with suppress(PathNotFound):
        driver.delete(paths.upload(upload.repository, upload.id), durable=False)
        return True
    return False


def _look(driver: StorageDriver, name: str, session: str) -> StaleUpload | None:
    """Return a session with its last activity, ``None`` when that is not known."""
    # A driver need not list content that is not committed, but tells of it.
    data = _stat(driver, paths.upload_data(name, session))
    notes = _walk(driver, paths.upload(name, session))
    files = [*data, *(info for info in notes if not info.is_dir)]
    times = [info.modified for info in files if info.modified is not None]
    if not times:
        return None
    return StaleUpload(name, session, sum(info.size for info in data), max(times))


def _stat(driver: StorageDriver, path: str) -> list[FileInfo]:
    try:
        return [driver.stat(path)]
    except PathNotFound:
        return []


def _walk(driver: StorageDriver, directory: str) -> list[FileInfo]:
    try:
        return list(driver.walk(directory))
    except PathNotFound:
        return []
