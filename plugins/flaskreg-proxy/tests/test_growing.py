"""A file that grows: nobody reads what is not there, and nobody takes it for whole."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flaskreg_proxy.growing import DownloadCut
from flaskreg_proxy.growing import GrowingReader
from flaskreg_proxy.growing import Growth

from flaskreg.errors import BlobUnknown


CONTENT = bytes(range(256)) * 64


class Fill:
    """A growth whose file the test writes."""

    def __init__(self, path: Path) -> None:
        self.growth = Growth(len(CONTENT))
        self.file = path.open("wb", buffering=0)
        self.growth.attach(os.open(path, os.O_RDONLY))
        self.size = 0

    def grow(self, count: int) -> None:
        self.file.write(CONTENT[self.size : self.size + count])
        self.size += count
        self.growth.grow(self.size)
        self.growth.begin()

    def reader(self, offset: int = 0) -> GrowingReader:
        assert self.growth.enter()
        return GrowingReader(self.growth, offset)


@pytest.fixture
def fill(tmp_path: Path) -> Iterator[Fill]:
    fill = Fill(tmp_path / "file")
    yield fill
    fill.file.close()


def test_readers_follow(fill: Fill) -> None:
    """Each has all of it, in its order, from where it began."""
    offsets = (0, 1, 5000, len(CONTENT) - 1)
    readers = [fill.reader(offset) for offset in offsets]
    with ThreadPoolExecutor(len(readers)) as pool:
        read = [
            pool.submit(lambda it=it: io.BufferedReader(it).read()) for it in readers
        ]
        while fill.size < len(CONTENT):
            fill.grow(1000)
        fill.growth.end()
        for offset, it in zip(offsets, read, strict=True):
            assert it.result(20) == CONTENT[offset:]
    for reader in readers:
        reader.close()


def test_the_last_byte_waits_for_the_verdict(fill: Fill) -> None:
    """It comes when all is verified, and never when it is wrong."""
    good, bad = fill, Fill(Path(f"{fill.file.name}.bad"))
    for it, error in ((good, None), (bad, ValueError())):
        reader = it.reader()
        it.grow(len(CONTENT))
        assert reader.read(len(CONTENT)) == CONTENT[:-1]
        last: list[object] = []

        def read(reader: GrowingReader = reader, last: list[object] = last) -> None:
            try:
                last.append(reader.read(10))
            except DownloadCut as cut:
                last.append(cut)

        thread = threading.Thread(target=read)
        thread.start()
        thread.join(0.2)
        assert last == []
        it.growth.end(error)
        thread.join(20)
        if error is None:
            assert last == [CONTENT[-1:]]
            assert reader.read(10) == b""
        else:
            assert isinstance(last[0], DownloadCut)
        reader.close()
    bad.file.close()


def test_a_cut_looks_like_a_client_that_left() -> None:
    """A server then closes the connection, and logs no trace."""
    assert isinstance(DownloadCut(), ConnectionResetError)


def test_what_it_ends_in_before_the_first_byte() -> None:
    """Who waits for it to begin is told why it never will."""
    growth = Growth(10)
    assert growth.enter()
    growth.end(BlobUnknown())
    with pytest.raises(BlobUnknown):
        growth.wait_begun()
    assert not growth.enter()
    done = Growth(10)
    assert done.enter()
    done.end()
    assert done.wait_begun() is False


def test_nobody_enters_what_is_given_up(fill: Fill) -> None:
    """It is given up when nobody reads it, and who comes then begins anew."""
    reader = fill.reader()
    assert not fill.growth.end_unread()
    reader.close()
    assert fill.growth.end_unread()
    assert not fill.growth.enter()
    fill.growth.end()
    assert isinstance(fill.growth.error, DownloadCut)


def test_the_file_is_closed_with_its_last_reader(fill: Fill) -> None:
    before = len(os.listdir("/proc/self/fd"))
    readers = [fill.reader() for _ in range(3)]
    fill.grow(len(CONTENT))
    fill.growth.end()
    for reader in readers[:-1]:
        reader.close()
        reader.close()
    assert readers[-1].read(5) == CONTENT[:5]
    assert len(os.listdir("/proc/self/fd")) == before
    readers[-1].close()
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_a_writer_that_died_is_noticed(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flaskreg_proxy.growing._LOOK", 0.01)
    dead = threading.Thread()
    fill.growth.written_by(dead)
    reader = fill.reader()
    with pytest.raises(DownloadCut):
        reader.read(1)
    reader.close()


def test_positions(fill: Fill) -> None:
    """Several ranges are read with one reader."""
    reader = fill.reader()
    fill.grow(len(CONTENT))
    fill.growth.end()
    with reader:
        assert reader.seek(100) == reader.tell() == 100
        assert reader.read(5) == CONTENT[100:105]
        reader.seek(0)
        assert reader.readall() == CONTENT
        with pytest.raises(io.UnsupportedOperation):
            reader.seek(0, os.SEEK_END)
        assert not hasattr(reader, "name")
