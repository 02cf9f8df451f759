"""The driver ``filesystem``: the suite, and what only a file system can promise."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from flaskreg.config import ConfigError
from flaskreg.defaults import filesystem as module
from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.defaults.filesystem import flaskreg_register_drivers
from flaskreg.defaults.localfiles import sync_directory
from flaskreg.driver import DriverError
from flaskreg.driver import InvalidOffset
from flaskreg.driver import InvalidPath
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import StorageFull
from flaskreg.testing import DriverTests


def files_below(root: Path) -> list[str]:
    """Return all files below a directory, hidden ones too."""
    found = (path for path in root.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(root)) for path in found)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writers wait for each other for no longer than tests should."""
    monkeypatch.setattr(module, "LOCK_PATIENCE", 0.05)


class TestFilesystem(DriverTests):
    """The suite."""

    hides_uncommitted = False
    dates_directories = True
    keeps_empty_directories = True

    @pytest.fixture(params=[True, False], ids=["fsync", "no fsync"])
    def make_driver(
        self, tmp_path: Path, request: pytest.FixtureRequest
    ) -> Callable[[], StorageDriver]:
        """Return drivers of one directory."""
        root = str(tmp_path / "registry")
        return lambda: FilesystemDriver(root, fsync=request.param)

    def leftovers(self, driver: StorageDriver) -> Collection[str]:
        """Return every file that is still there, under any name."""
        assert isinstance(driver, FilesystemDriver)
        return files_below(Path(driver.root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the directory of :func:`driver`, which is not there yet."""
    return tmp_path / "registry"


@pytest.fixture
def driver(root: Path) -> FilesystemDriver:
    """Return a driver of an empty directory."""
    return FilesystemDriver(str(root))


# Parameters


def make(**parameters: Any) -> FilesystemDriver:
    """Make the driver as the configuration does."""
    made = flaskreg_register_drivers()["filesystem"](parameters)
    assert isinstance(made, FilesystemDriver)
    return made


def test_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distribution's directory by default; a relative one is where the server runs."""
    monkeypatch.chdir(tmp_path)
    assert make().root == "/var/lib/registry"
    assert make(rootdirectory="/a/b/").root == "/a/b"
    assert make(rootdirectory="data").root == str(tmp_path / "data")
    assert make(rootdirectory="").root == "/var/lib/registry"
    assert make(rootdirectory=None, maxthreads="100", fsync=False).name == "filesystem"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"rootdir": "/a"}, "storage.filesystem.rootdir:.*rootdirectory"),
        ({"rootdirectory": 5}, "storage.filesystem.rootdirectory"),
        ({"rootdirectory": ["/a"]}, "storage.filesystem.rootdirectory"),
        ({"fsync": "no"}, "storage.filesystem.fsync"),
        ({"fsync": 0}, "storage.filesystem.fsync"),
        ({"maxthreads": "many"}, "storage.filesystem.maxthreads"),
        ({"maxthreads": None}, "storage.filesystem.maxthreads"),
    ],
)
def test_a_wrong_parameter_is_one_line(parameters: Any, named: str) -> None:
    """It names the key where it stands in the configuration."""
    with pytest.raises(ConfigError, match=named) as caught:
        make(**parameters)
    assert "\n" not in str(caught.value)


def test_nothing_is_made_before_it_is_needed(
    driver: FilesystemDriver, root: Path
) -> None:
    """Looking around makes no directory."""
    assert driver.list("/") == []
    assert driver.stat("/").is_dir
    for look in (driver.get_content, driver.stat, driver.list, driver.delete):
        with pytest.raises(PathNotFound):
            look("/docker/x")
    with pytest.raises(PathNotFound):
        driver.writer("/docker/x", 5)
    assert not root.exists()


def test_files_are_those_of_distribution(driver: FilesystemDriver, root: Path) -> None:
    """Plain files at their paths, readable for whom the umask lets read them."""
    old = os.umask(0o027)
    try:
        driver.put_content("/docker/registry/v2/a/link", b"sha256:x")
        with driver.writer("/docker/registry/v2/b/data") as writer:
            writer.write(b"content")
    finally:
        os.umask(old)
    assert (root / "docker/registry/v2/a/link").read_bytes() == b"sha256:x"
    for path in root.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640)


def test_a_temporary_name_is_in_no_list(driver: FilesystemDriver, root: Path) -> None:
    """What a crash left under one is hidden, and goes with its directory."""
    driver.put_content("/a/file", b"content")
    (root / "a" / f".{'0' * 32}.tmp").write_bytes(b"half")
    (root / "a" / ".hidden").write_bytes(b"not ours")
    assert sorted(driver.list("/a")) == [".hidden", "file"]
    assert [info.path for info in driver.walk("/a")] == ["/a/.hidden", "/a/file"]
    driver.delete("/a")
    assert files_below(root) == []


def test_symbolic_links_below_a_directory_are_not_followed(
    driver: FilesystemDriver, root: Path, tmp_path: Path
) -> None:
    """A delete takes away the link and not what it leads to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"content")
    driver.put_content("/a/b/file", b"content")
    (root / "a" / "link").symlink_to(outside)
    driver.delete("/a")
    assert files_below(outside) == ["file"]


# Durability


class Calls:
    """Notes what is done to files, by their names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.notes: list[str] = []
        self.root = root
        self.names: dict[int, str] = {}
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._sync(name, getattr(os, name)))
        monkeypatch.setattr(os, "rename", self._rename(os.rename))
        monkeypatch.setattr(os, "link", self._rename(os.link))

    def _name(self, path: str) -> str:
        relative = os.path.relpath(path, self.root)
        return re.sub(r"\.[0-9a-f]{32}\.tmp", "TMP", relative)

    def _sync(self, name: str, real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            kind = "directory" if os.path.isdir(path) else "file"
            self.notes.append(f"sync {kind} {self._name(path)}")
            assert name == ("fsync" if kind == "directory" else "fdatasync")
            real(descriptor)

        return sync

    def _rename(self, real: Callable[[str, str], None]) -> Callable[[str, str], None]:
        def rename(source: str, destination: str) -> None:
            real(source, destination)
            self.notes.append(f"name {self._name(destination)}")

        return rename


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, root: Path) -> Calls:
    """Note what is done to files from now on."""
    return Calls(monkeypatch, root)


def test_a_put_is_durable_when_it_returns(
    driver: FilesystemDriver, calls: Calls
) -> None:
    """Data first, then the name, then each directory that may be new.

    Above the root, that is as far as this process may make directories.
    """
    driver.put_content("/a/b/file", b"content")
    assert calls.notes[:2] == ["sync file a/b/TMP", "name a/b/file"]
    synced = calls.notes[2:]
    assert {f"sync directory {name}" for name in ("..", ".", "a", "a/b")} <= {*synced}
    assert all(note.startswith("sync directory ") for note in synced)
    assert len(synced) == len({*synced})
    calls.notes.clear()
    driver.put_content("/a/b/file", b"changed")
    assert calls.notes == [
        "sync file a/b/TMP",
        "name a/b/file",
        "sync directory a/b",
    ]


def test_what_is_published_is_synced_in_two_rounds(
    driver: FilesystemDriver, calls: Calls
) -> None:
    """All data, then all names in their order, then all directories."""
    with driver.writer("/up/data") as writer:
        writer.write(b"content")
        writer.commit()
    driver.put_content("/a/x", b"")
    calls.notes.clear()
    driver.publish(
        [("/a/one", b"1"), ("/a/two", b"2"), ("/b/c/three", b"3")],
        [("/up/data", "/blobs/data")],
    )
    first = [note.startswith("name") for note in calls.notes].index(True)
    data, rest = calls.notes[:first], calls.notes[first:]
    assert sorted(data) == [
        "sync file a/TMP",
        "sync file a/TMP",
        "sync file b/c/TMP",
        "sync file up/data",
    ]
    names = [note for note in rest if note.startswith("name")]
    assert names == ["name blobs/data", "name a/one", "name a/two", "name b/c/three"]
    assert rest[: len(names)] == names
    directories = {note.removeprefix("sync directory ") for note in rest[len(names) :]}
    assert {"a", "b/c", "b", "blobs", "."} <= directories
    assert len(rest) == len(names) + len(directories)


def test_a_delete_is_durable(driver: FilesystemDriver, calls: Calls) -> None:
    """The directory in which the name was is synced."""
    driver.put_content("/a/file", b"content")
    driver.put_content("/a/b/file", b"content")
    for path in ("/a/file", "/a/b"):
        calls.notes.clear()
        driver.delete(path)
        assert calls.notes == ["sync directory a"]


def test_a_writer_syncs_what_it_wrote_and_nothing_else(
    driver: FilesystemDriver, calls: Calls
) -> None:
    """At its flush; a second one, or one of nothing, costs nothing."""
    with driver.writer("/up/data") as writer:
        writer.flush()
        assert calls.notes == []
        for _ in range(3):
            writer.write(b"x" * (3 << 20))
        writer.flush()
        writer.flush()
        assert calls.notes == ["sync file up/data"]
        writer.commit()
    calls.notes.clear()
    driver.move("/up/data", "/blobs/data")
    assert calls.notes[:2] == ["sync file up/data", "name blobs/data"]


def test_what_need_not_be_durable_is_not_synced(
    driver: FilesystemDriver, calls: Calls
) -> None:
    """The notes of an upload session, say."""
    driver.put_content("/a/file", b"content", durable=False)
    driver.delete("/a/file", durable=False)
    assert [note for note in calls.notes if note.startswith("sync")] == []


def test_without_fsync_nothing_is_synced(root: Path, calls: Calls) -> None:
    """``fsync: false`` does none, and is as atomic as before."""
    driver = make(rootdirectory=str(root), fsync=False)
    driver.put_content("/a/file", b"content")
    with driver.writer("/up/data") as writer:
        writer.write(b"content")
        writer.flush()
        writer.commit()
    driver.publish([("/a/two", b"2")], [("/up/data", "/b/data")])
    driver.move("/a/file", "/c/file")
    driver.delete("/c/file")
    assert [note for note in calls.notes if note.startswith("sync")] == []
    assert files_below(root) == ["a/two", "b/data"]


def test_a_slow_flush_holds_up_nobody_else(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal of a file system shares flushes, and only it knows which."""
    real, begun, go = os.fdatasync, threading.Event(), threading.Event()

    def fdatasync(descriptor: int) -> None:
        if os.fstat(descriptor).st_size == 4:
            begun.set()
            assert go.wait(30)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(driver.put_content, "/shared/slow", b"slow")
        assert begun.wait(30)
        driver.put_content("/shared/quick", b"quick")
        assert not slow.done()
        go.set()
        slow.result()
    assert sorted(driver.list("/shared")) == ["quick", "slow"]


def test_a_directory_that_is_gone_needs_no_flush(tmp_path: Path) -> None:
    """Somebody deleted it with the names in it; a file in its place is an error."""
    sync_directory(str(tmp_path / "deleted by somebody"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        sync_directory(str(tmp_path / "file"))


# What fails


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Return a function that lets a call of the operating system fail."""

    def fail(name: str, number: int) -> None:
        def failing(*_arguments: Any, **_options: Any) -> Any:
            raise OSError(number, os.strerror(number), "/where/it/is")

        monkeypatch.setattr(os, name, failing)

    return fail


@pytest.mark.parametrize("name", ["write", "fdatasync", "fsync", "rename"])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EIO, DriverError),
        (errno.EROFS, DriverError),
        (errno.EACCES, DriverError),
    ],
)
def test_an_error_of_the_system_is_one_of_drivers(
    driver: FilesystemDriver,
    root: Path,
    failing: Callable[[str, int], None],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    expected: type[DriverError],
) -> None:
    """A full disk is told apart; the old content stays, and nothing half is left."""
    driver.put_content("/a/file", b"old")
    with monkeypatch.context():
        failing(name, number)
        with pytest.raises(DriverError) as caught:
            driver.put_content("/a/file", b"new")
        monkeypatch.undo()
    assert type(caught.value) is expected
    if name == "fsync":
        assert driver.get_content("/a/file") in (b"old", b"new")
    else:
        assert driver.get_content("/a/file") == b"old"
    assert files_below(root) == ["a/file"]
    driver.put_content("/a/file", b"new")


def test_a_writer_that_runs_out_of_room_keeps_what_was_there(
    driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a part of the chunk was written; it goes on when there is room."""
    real = os.write

    def partly(descriptor: int, content: bytes) -> int:
        if len(content) < 5:
            raise OSError(errno.ENOSPC, "no space left")
        return real(descriptor, content[:5])

    with driver.writer("/up/data") as writer:
        writer.write(b"before ")
        monkeypatch.setattr(os, "write", partly)
        with pytest.raises(StorageFull):
            writer.write(b"0123456789ab")
        assert writer.size == 7
        monkeypatch.setattr(os, "write", real)
        writer.write(b"after")
        writer.commit()
    assert (root / "up/data").read_bytes() == b"before after"


def test_short_writes_are_gone_on_with(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may take a part of what it is given."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda to, content: real(to, content[:3]))
    driver.put_content("/a", b"0123456789")
    with driver.writer("/b") as writer:
        writer.write(b"0123456789")
        writer.commit()
    assert driver.get_content("/a") == driver.get_content("/b") == b"0123456789"


@pytest.mark.parametrize(
    "size", [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 200_000]
)
def test_small_files_are_read_whole(driver: FilesystemDriver, size: int) -> None:
    """Of whatever size they are."""
    content = os.urandom(size)
    driver.put_content("/a", content)
    assert driver.get_content("/a") == content


def test_names_that_are_too_long(driver: FilesystemDriver) -> None:
    """The system takes 255 characters; more can hold nothing."""
    long = "a" * 256
    with pytest.raises(InvalidPath):
        driver.put_content(f"/{long}/file", b"")
    with pytest.raises(DriverError):
        driver.get_content(f"/{long}")


def test_a_directory_in_the_place_of_a_file(driver: FilesystemDriver) -> None:
    """It can be neither written nor read."""
    driver.put_content("/a/b", b"content")
    with pytest.raises(InvalidPath):
        driver.put_content("/a", b"content")
    with pytest.raises(DriverError):
        driver.writer("/a")
    with pytest.raises(PathNotFound):
        driver.reader("/a")
    assert driver.get_content("/a/b") == b"content"


def test_a_folder_that_cannot_be_made_is_an_error(
    driver: FilesystemDriver, root: Path
) -> None:
    """And is not tried for ever."""
    root.write_bytes(b"a file in its place")
    with pytest.raises(DriverError):
        driver.put_content("/a/b", b"content")
    with pytest.raises(DriverError):
        driver.writer("/a/b")
    assert driver.list("/") == []


def test_an_exclusive_name_that_is_taken(driver: FilesystemDriver, root: Path) -> None:
    """What comes before it is there, and nothing else is left."""
    driver.put_content("/a/taken", b"old")
    entries = [("/a/first", b"1"), ("/a/taken", b"new"), ("/a/last", b"3")]
    with pytest.raises(PathExists):
        driver.publish(entries, exclusive=["/a/taken"])
    assert files_below(root) == ["a/first", "a/taken"]
    assert driver.get_content("/a/taken") == b"old"
    driver.publish([("/a/new", b"new")], exclusive=["/a/new"])
    assert files_below(root) == ["a/first", "a/new", "a/taken"]


def test_of_many_who_take_one_name_one_does(driver: FilesystemDriver) -> None:
    """The others are refused, whatever the moment."""

    def take(number: int) -> bool:
        content = str(number).encode()
        try:
            driver.publish([("/a/taken", content)], exclusive=["/a/taken"])
        except PathExists:
            return False
        return driver.get_content("/a/taken") == content

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(16))) == 1
    assert driver.list("/a") == ["taken"]


def test_directories_may_go_while_something_is_put_into_them(
    driver: FilesystemDriver,
) -> None:
    """A delete and a put of the same directory both succeed, in some order."""
    stop = threading.Event()

    def delete() -> None:
        while not stop.is_set():
            try:
                driver.delete("/a")
            except (PathNotFound, DriverError):
                continue
            finally:
                time.sleep(0.005)

    def put(number: int) -> None:
        for turn in range(15):
            driver.put_content(f"/a/b/{number}-{turn}/file", b"content")

    with ThreadPoolExecutor(5) as pool:
        deleting = pool.submit(delete)
        try:
            list(pool.map(put, range(4)))
        finally:
            stop.set()
        deleting.result()


# Between processes


@pytest.fixture(scope="module")
def other_process() -> Iterator[Any]:
    """Return a function that calls a driver's method in another process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()

    def call(root: Path, method: str, *arguments: Any) -> Any:
        here.send((str(root), method, arguments))
        assert here.poll(60)
        return here.recv()

    yield call
    here.send(None)
    process.join(30)
    assert not process.is_alive()


def _serve(pipe: Connection) -> None:
    """Call what is asked for, and keep writers open until they are closed."""
    module.LOCK_PATIENCE = 0.05
    writers: list[Any] = []
    while (asked := pipe.recv()) is not None:
        root, method, arguments = asked
        driver = FilesystemDriver(root)
        try:
            if method == "open":
                writers.append(driver.writer(*arguments))
                result: Any = writers[-1].size
            elif method == "write":
                writers[-1].write(*arguments)
                writers[-1].flush()
                result = writers[-1].size
            elif method == "close":
                writers.pop().close()
                result = None
            else:
                result = getattr(driver, method)(*arguments)
        except DriverError as error:
            result = type(error).__name__
        pipe.send(result)


def test_a_writer_locks_its_path_for_other_processes(
    driver: FilesystemDriver, root: Path, other_process: Any
) -> None:
    """Until it is closed; readers and other paths are not locked."""
    assert other_process(root, "open", "/up/data", None) == 0
    assert other_process(root, "write", b"theirs") == 6
    for append_at in (6, 0, None):
        with pytest.raises(InvalidOffset):
            driver.writer("/up/data", append_at)
    assert driver.stat("/up/data").size == 6
    with driver.writer("/up/other") as writer:
        writer.write(b"ours")
    other_process(root, "close")
    with driver.writer("/up/data", 6) as writer:
        writer.write(b" and ours")
        assert other_process(root, "open", "/up/data", 15) == "InvalidOffset"
        assert other_process(root, "stat", "/up/data").size == 15
    assert other_process(root, "open", "/up/data", 15) == 15
    other_process(root, "close")


def test_a_writer_waits_for_a_moment(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request of a client whose connection broke ends soon after it comes back."""
    monkeypatch.setattr(module, "LOCK_PATIENCE", 30.0)
    first = driver.writer("/up/data")
    first.write(b"before")
    timer = threading.Timer(0.2, first.close)
    timer.start()
    with driver.writer("/up/data", 6) as second:
        assert second.size == 6
    timer.join()


def test_a_lock_of_a_file_that_is_gone_is_none(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for a cancelled upload does not go on with its deleted file."""
    monkeypatch.setattr(module, "LOCK_PATIENCE", 30.0)
    first = driver.writer("/up/data")
    first.write(b"before")
    waiting = threading.Event()

    def again() -> Any:
        waiting.set()
        try:
            return driver.writer("/up/data", 6)
        except PathNotFound:
            return None

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(again)
        assert waiting.wait(30)
        threading.Event().wait(0.1)
        driver.delete("/up")
        first.close()
        assert second.result(30) is None


def test_what_one_process_writes_the_other_reads(
    driver: FilesystemDriver, root: Path, other_process: Any
) -> None:
    """At once, and whole."""
    other_process(root, "put_content", "/a/file", b"theirs")
    assert driver.get_content("/a/file") == b"theirs"
    driver.put_content("/a/file", b"ours")
    assert other_process(root, "get_content", "/a/file") == b"ours"
    other_process(root, "delete", "/a")
    with pytest.raises(PathNotFound):
        driver.get_content("/a/file")


def test_the_file_behind_a_path(tmp_path: Path) -> None:
    """It can be read as it grows, and who has it open keeps it when it is moved."""
    driver = FilesystemDriver(str(tmp_path))
    filename = driver.filename("/a/b")
    with driver.writer("/a/b") as writer:
        writer.write(b"con")
        with open(filename, "rb") as file:
            assert file.read() == b"con"
            writer.write(b"tent")
            writer.commit()
            driver.move("/a/b", "/c")
            assert file.read() == b"tent"
    assert driver.filename("/c") == str(tmp_path / "c")
    with pytest.raises(InvalidPath):
        driver.filename("/a/../b")


def test_touching_makes_a_file_young(tmp_path: Path) -> None:
    """Its content stays, and only what is there can be touched."""
    driver = FilesystemDriver(str(tmp_path))
    driver.put_content("/a/file", b"content")
    os.utime(tmp_path / "a/file", (1, 1))
    driver.touch("/a/file")
    modified = driver.stat("/a/file").modified
    assert modified is not None
    assert modified.timestamp() > 1_000_000
    assert driver.get_content("/a/file") == b"content"
    with pytest.raises(PathNotFound):
        driver.touch("/a/other")


def test_what_a_killed_writer_left(tmp_path: Path) -> None:
    """It is told of, with its size, and can be deleted."""
    driver = FilesystemDriver(str(tmp_path))
    driver.put_content("/a/file", b"content")
    (tmp_path / "a" / f".{'0' * 32}.tmp").write_bytes(b"half")
    (tmp_path / "a" / ".hidden").write_bytes(b"somebody's own")
    (found,) = driver.iter_leftovers()
    assert (found.path, found.size) == (f"/a/.{'0' * 32}.tmp", 4)
    driver.delete(found.path)
    assert list(driver.iter_leftovers()) == []
    assert sorted(driver.list("/a")) == [".hidden", "file"]


@pytest.mark.parametrize("times", [1, 5])
def test_what_comes_into_a_directory_that_is_deleted_goes_too(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Another process may write there between the look and the end of it."""
    driver.put_content("/a/b/c", b"before")
    rmdir, coming = os.rmdir, iter(range(times))

    def late(path: str) -> None:
        for number in coming:
            Path(path, f"late-{number}").write_bytes(b"late")
            break
        rmdir(path)

    monkeypatch.setattr(os, "rmdir", late)
    driver.delete("/a")
    with pytest.raises(PathNotFound):
        driver.stat("/a")


def test_a_directory_that_is_filled_without_end_is_an_error(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no endless loop."""
    driver.put_content("/a/b", b"before")
    rmdir = os.rmdir

    def late(path: str) -> None:
        Path(path, "late").write_bytes(b"late")
        rmdir(path)

    monkeypatch.setattr(os, "rmdir", late)
    with pytest.raises(DriverError):
        driver.delete("/a")
