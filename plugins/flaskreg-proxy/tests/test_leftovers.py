"""What is left of downloads takes room, and goes when that is wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flaskreg_proxy import reserve as reserving
from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import Presence
from flaskreg_proxy.leftovers import Leftovers
from flaskreg_proxy.reserve import give_back
from flaskreg_proxy.reserve import reserve
from flaskreg_proxy.workplace import Workplace

from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.digest import Digest


KIB = 1 << 10


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """Where downloads grow, within a storage of files."""
    return Workplace(FilesystemDriver(str(tmp_path / "root")), "")


def leave(workplace: Workplace, content: bytes, age: float) -> str:
    """Leave a part of a blob, last written so many seconds ago."""
    path = workplace.download(Digest.of(content))
    Path(path).write_bytes(content)
    found = os.stat(path)
    os.utime(path, (found.st_atime - age, found.st_mtime - age))
    return path


def test_the_oldest_go_first(workplace: Workplace) -> None:
    """And no more of them than have to; notes beside them are no content."""
    leftovers = Leftovers(workplace)
    assert (leftovers.size(), leftovers.drop(1)) == (0, 0)
    paths = [leave(workplace, bytes([n]) * 8 * KIB, age=n * 60) for n in (1, 3, 2)]
    Path(f"{paths[0]}.error").write_bytes(b"x" * 64 * KIB)
    assert leftovers.size() == 24 * KIB
    assert leftovers.drop(8 * KIB + 1) == 16 * KIB
    assert [os.path.exists(path) for path in paths] == [True, False, False]
    assert leftovers.size() == 8 * KIB


@pytest.mark.parametrize("how", ["filled", "watched"])
def test_what_somebody_wants_stays(workplace: Workplace, how: str) -> None:
    leftovers = Leftovers(workplace)
    path = leave(workplace, b"a" * 4 * KIB, age=60)
    if how == "filled":
        lease = Lease.take(f"{path}.lease")
        assert lease is not None
        assert (leftovers.size(), leftovers.drop(1)) == (0, 0)
        lease.release()
    else:
        with Presence(f"{path}.readers").here():
            assert (leftovers.size(), leftovers.drop(1)) == (0, 0)
    assert leftovers.drop(1) == 4 * KIB


def test_downloads_beside_the_storage_take_none_of_its_room(tmp_path: Path) -> None:
    driver = FilesystemDriver(str(tmp_path / "root"))
    workplace = Workplace(driver, str(tmp_path / "work"))
    leave(workplace, b"a" * 4 * KIB, age=60)
    assert Leftovers(workplace).size() == 0


def test_what_is_reserved_counts_until_it_is_given_back(workplace: Workplace) -> None:
    """A process that is killed leaves the room that it had."""
    path = leave(workplace, b"a" * 4 * KIB, age=60)
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert reserve(descriptor, 1024 * KIB)
        assert reserve(descriptor, 1024 * KIB)
        assert os.fstat(descriptor).st_size == 4 * KIB
        assert Leftovers(workplace).size() >= 1024 * KIB
        give_back(descriptor)
    finally:
        os.close(descriptor)
    assert Leftovers(workplace).size() == 4 * KIB


@pytest.mark.parametrize("reserves", [True, False])
def test_more_than_a_disk_has_is_not_reserved(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, reserves: bool
) -> None:
    """Where the system reserves nothing, what is free now decides."""
    if not reserves:
        monkeypatch.setattr(reserving, "_fallocate", lambda: None)
    path = leave(workplace, b"a", age=60)
    found = os.statvfs(path)
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert reserve(descriptor, 64 * KIB)
        assert not reserve(descriptor, 2 * found.f_blocks * found.f_frsize)
        give_back(descriptor)
    finally:
        os.close(descriptor)
    assert os.stat(path).st_blocks * 512 <= 64 * KIB
