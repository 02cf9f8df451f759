"""The driver suite: writers, what they leave, and who may go on with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from flaskreg.driver import DriverError
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import UnsupportedMethod
from flaskreg.testing.abilities import lacks
from flaskreg.testing.abilities import needs
from flaskreg.testing.driver_fixtures import TOP
from flaskreg.testing.driver_fixtures import DriverFixtures
from flaskreg.testing.driver_fixtures import commit
from flaskreg.testing.driver_fixtures import failures
from flaskreg.testing.driver_fixtures import read
from flaskreg.testing.driver_fixtures import run_together
from flaskreg.testing.driver_fixtures import write


PATH = f"{TOP}/uploads/data"


class WriterTests(DriverFixtures):
    """One writer at a time, from its beginning to its end."""

    def test_commit_makes_content_readable(self, driver: StorageDriver) -> None:
        """What was written in steps is one content after the commit."""
        commit(driver, PATH, b"some", b"", b" content")
        assert driver.get_content(PATH) == b"some content"
        assert read(driver.reader(PATH, 5)) == b"content"
        assert driver.stat(PATH).size == 12
        assert driver.list(f"{TOP}/uploads") == ["data"]

    def test_commit_of_nothing(self, driver: StorageDriver) -> None:
        """A commit without a write makes an empty file."""
        commit(driver, PATH)
        assert driver.get_content(PATH) == b""
        assert driver.stat(PATH).size == 0

    def test_a_chunk_of_a_mebibyte(self, driver: StorageDriver) -> None:
        """Large chunks and odd ones add up."""
        large = bytes(range(256)) * 4096
        commit(driver, PATH, large, b"odd", large)
        assert driver.get_content(PATH) == large + b"odd" + large

    def test_size_counts_what_was_written(self, driver: StorageDriver) -> None:
        """A writer tells its size at any time."""
        with driver.writer(PATH) as writer:
            assert writer.size == 0
            writer.write(b"12345")
            assert writer.size == 5
            writer.flush()
            writer.write(b"678")
            assert writer.size == 8

    @needs("hides_uncommitted")
    @pytest.mark.parametrize("closed", [False, True])
    def test_uncommitted_content_is_not_readable(
        self, driver: StorageDriver, closed: bool
    ) -> None:
        """Nobody reads what is not committed, be the writer open or closed."""
        with driver.writer(PATH) as writer:
            writer.write(b"content")
            writer.flush()
            if closed:
                writer.close()
            with pytest.raises(PathNotFound):
                driver.get_content(PATH)
            with pytest.raises(PathNotFound):
                driver.reader(PATH)

    @lacks("hides_uncommitted")
    def test_uncommitted_content_is_readable(self, driver: StorageDriver) -> None:
        """Where it is a plain file, everybody reads it as far as it was flushed."""
        with driver.writer(PATH) as writer:
            writer.write(b"content")
            writer.flush()
            assert driver.get_content(PATH) == b"content"

    @pytest.mark.parametrize("chunks", [(), (b"",), (b"some", b" content")])
    def test_uncommitted_content_has_a_size(
        self, driver: StorageDriver, chunks: tuple[bytes, ...]
    ) -> None:
        """``stat`` tells how much there is to go on from."""
        write(driver, PATH, *chunks)
        info = driver.stat(PATH)
        assert not info.is_dir
        assert info.size == len(b"".join(chunks))

    def test_cancel_drops_content(self, driver: StorageDriver) -> None:
        """Nothing is at the path after a cancel."""
        with driver.writer(PATH) as writer:
            writer.write(b"content")
            writer.cancel()
        with pytest.raises(PathNotFound):
            driver.stat(PATH)
        with pytest.raises(PathNotFound):
            driver.get_content(PATH)

    @needs("hides_uncommitted")
    def test_an_exception_commits_nothing(self, driver: StorageDriver) -> None:
        """Leaving a writer by an exception closes it and keeps what was written."""
        with contextlib.suppress(RuntimeError), driver.writer(PATH) as writer:
            writer.write(b"content")
            raise RuntimeError
        assert driver.stat(PATH).size == 7
        with pytest.raises(PathNotFound):
            driver.get_content(PATH)

    @pytest.mark.parametrize("end", ["commit", "cancel", "close"])
    def test_nothing_is_written_after_the_end(
        self, driver: StorageDriver, end: str
    ) -> None:
        """A writer that has ended refuses to write, and closing it again is fine."""
        with driver.writer(PATH) as writer:
            writer.write(b"content")
            getattr(writer, end)()
            with pytest.raises((ValueError, OSError, DriverError)):
                writer.write(b"more")
            writer.close()
            writer.close()
        if end == "commit":
            assert driver.get_content(PATH) == b"content"

    def test_a_writer_begins_anew(self, driver: StorageDriver) -> None:
        """Without ``append_at``, what earlier writers left is dropped."""
        write(driver, PATH, b"a longer beginning")
        with driver.writer(PATH) as writer:
            assert writer.size == 0
            writer.write(b"content")
            writer.commit()
        assert driver.get_content(PATH) == b"content"

    def test_a_writer_after_a_commit(self, driver: StorageDriver) -> None:
        """Content can be written again, from its beginning."""
        commit(driver, PATH, b"a longer old content")
        commit(driver, PATH, b"new", b" content")
        assert driver.get_content(PATH) == b"new content"
        assert driver.stat(PATH).size == 11

    @needs("hides_uncommitted")
    def test_rewriting_is_not_readable(self, driver: StorageDriver) -> None:
        """No reader sees a part of what takes the place of committed content."""
        commit(driver, PATH, b"a longer old content")
        with driver.writer(PATH) as writer:
            writer.write(b"new ")
            writer.flush()
            with contextlib.suppress(PathNotFound):
                assert driver.get_content(PATH) == b"a longer old content"
            writer.write(b"content")
            writer.commit()
        assert driver.get_content(PATH) == b"new content"

    def test_delete_drops_uncommitted_content(self, driver: StorageDriver) -> None:
        """A delete of the path, or of a directory above it, takes it away."""
        other = f"{TOP}/uploads/other/data"
        driver.put_content(f"{TOP}/uploads/other/startedat", b"now")
        write(driver, PATH, b"content")
        write(driver, other, b"content")
        driver.delete(PATH)
        driver.delete(f"{TOP}/uploads/other")
        for path in (PATH, other):
            with pytest.raises(PathNotFound):
                driver.stat(path)
            with pytest.raises(PathNotFound):
                driver.writer(path, 7)

    def test_move_of_what_a_writer_committed(self, driver: StorageDriver) -> None:
        """An upload becomes a blob: it is committed and then moved."""
        commit(driver, PATH, b"some", b" content")
        driver.move(PATH, f"{TOP}/blobs/data")
        assert driver.get_content(f"{TOP}/blobs/data") == b"some content"
        with pytest.raises(PathNotFound):
            driver.stat(PATH)

    def test_many_writers_of_many_paths(self, driver: StorageDriver) -> None:
        """Writers of different paths do not see each other."""

        def upload(number: int) -> None:
            chunk = bytes([number]) * 1000
            commit(driver, f"{TOP}/uploads/{number}", *[chunk] * 20)

        results = run_together([lambda n=n: upload(n) for n in range(16)])  # type: ignore[misc]
        assert failures(results) == []
        for number in range(16):
            content = driver.get_content(f"{TOP}/uploads/{number}")
            assert content == bytes([number]) * 20_000


@needs("supports_append")
class AppendTests(DriverFixtures):
    """Going on with what an earlier writer left."""

    def test_append(self, driver: StorageDriver) -> None:
        """Writers that follow each other make one content."""
        write(driver, PATH, b"one ")
        write(driver, PATH, b"two ", append_at=4)
        assert driver.stat(PATH).size == 8
        with driver.writer(PATH, 8) as writer:
            assert writer.size == 8
            writer.write(b"three")
            assert writer.size == 13
            writer.commit()
        assert driver.get_content(PATH) == b"one two three"

    @pytest.mark.parametrize("size", [1, 1000, 70_000])
    def test_append_chunks_of_many_sizes(
        self, driver: StorageDriver, size: int
    ) -> None:
        """Small and large pieces can be appended to each other."""
        pieces = [bytes([number]) * (size * number) for number in range(1, 6)]
        at = 0
        for piece in pieces:
            write(driver, PATH, piece, append_at=at)
            at += len(piece)
        commit(driver, PATH, append_at=at)
        assert driver.get_content(PATH) == b"".join(pieces)

    def test_append_at_zero_begins(self, driver: StorageDriver) -> None:
        """To append at 0 where nothing is, is to begin."""
        commit(driver, PATH, b"content", append_at=0)
        assert driver.get_content(PATH) == b"content"

    def test_append_to_zero_bytes_written(self, driver: StorageDriver) -> None:
        """A writer that wrote nothing leaves something to append to."""
        write(driver, PATH)
        write(driver, PATH, append_at=0)
        commit(driver, PATH, b"content", append_at=0)
        assert driver.get_content(PATH) == b"content"

    def test_append_to_zero_bytes_put(self, driver: StorageDriver) -> None:
        """An empty file can be appended to, though it is committed."""
        driver.put_content(PATH, b"")
        write(driver, PATH, b"some ", append_at=0)
        assert driver.stat(PATH).size == 5
        commit(driver, PATH, b"content", append_at=5)
        assert driver.get_content(PATH) == b"some content"

    def test_append_to_nothing(self, driver: StorageDriver) -> None:
        """There is nothing to go on with."""
        with pytest.raises(PathNotFound):
            driver.writer(PATH, 5)

    @pytest.mark.parametrize("at", [-1, 0, 6, 8, 1 << 40])
    def test_append_at_another_size(self, driver: StorageDriver, at: int) -> None:
        """An appender has to know how much is there, and nothing is lost."""
        write(driver, PATH, b"content")
        with pytest.raises(InvalidOffset) as caught:
            driver.writer(PATH, at)
        assert caught.value.size in {None, 7}
        commit(driver, PATH, b"!", append_at=7)
        assert driver.get_content(PATH) == b"content!"

    @pytest.mark.parametrize("chunk", [b"", b", more"])
    def test_append_to_committed_content(
        self, driver: StorageDriver, chunk: bytes
    ) -> None:
        """An upload whose content was committed but not moved goes on."""
        commit(driver, PATH, b"content")
        with driver.writer(PATH, 7) as writer:
            assert writer.size == 7
            writer.write(chunk)
        assert driver.stat(PATH).size == 7 + len(chunk)
        commit(driver, PATH, b"!", append_at=7 + len(chunk))
        assert driver.get_content(PATH) == b"content" + chunk + b"!"

    def test_append_to_committed_content_at_another_size(
        self, driver: StorageDriver
    ) -> None:
        """Committed content has a size that an appender has to know, too."""
        driver.put_content(PATH, b"content")
        for at in (0, 6, 8):
            with pytest.raises(InvalidOffset):
                driver.writer(PATH, at)
        assert driver.get_content(PATH) == b"content"

    def test_a_committed_path_is_the_writers_until_it_closes(
        self, driver: StorageDriver
    ) -> None:
        """Between its commit and its move, nobody else appends to an upload."""
        with driver.writer(PATH) as writer:
            writer.write(b"content")
            writer.commit()
            with pytest.raises(InvalidOffset):
                driver.writer(PATH, 7)
            driver.move(PATH, f"{TOP}/blobs/data")
        assert driver.get_content(f"{TOP}/blobs/data") == b"content"
        with pytest.raises(PathNotFound):
            driver.writer(PATH, 7)

    @pytest.mark.parametrize("leave", [write, commit])
    def test_cancel_drops_what_earlier_writers_left(
        self, driver: StorageDriver, leave: Callable[..., None]
    ) -> None:
        """A cancelled upload begins at 0 again."""
        leave(driver, PATH, b"content")
        with driver.writer(PATH, 7) as writer:
            writer.cancel()
        with pytest.raises(PathNotFound):
            driver.stat(PATH)
        with pytest.raises(PathNotFound):
            driver.writer(PATH, 7)

    def test_append_of_nothing(self, driver: StorageDriver) -> None:
        """A writer that appends nothing can commit what is there."""
        write(driver, PATH, b"content")
        commit(driver, PATH, append_at=7)
        assert driver.get_content(PATH) == b"content"

    def test_of_two_who_append_one_is_refused(self, driver: StorageDriver) -> None:
        """While one writer appends, another is refused; afterwards it is not."""
        write(driver, PATH, b"content")
        with driver.writer(PATH, 7) as writer:
            with pytest.raises(InvalidOffset):
                driver.writer(PATH, 7)
            writer.write(b", more")
        with pytest.raises(InvalidOffset):
            driver.writer(PATH, 7)
        commit(driver, PATH, b", most", append_at=13)
        assert driver.get_content(PATH) == b"content, more, most"

    def test_of_many_who_append_one_wins(self, driver: StorageDriver) -> None:
        """A race at one size has one winner, whose bytes alone are appended."""
        write(driver, PATH, b"content")
        writers: list[FileWriter] = []

        def append(letter: bytes) -> bytes:
            writer = driver.writer(PATH, 7)
            writers.append(writer)
            writer.write(letter * 100)
            return letter

        letters = [b"a", b"b", b"c", b"d", b"e", b"f"]
        results = run_together([lambda x=x: append(x) for x in letters])  # type: ignore[misc]
        (winner,) = writers
        winner.commit()
        winner.close()
        (letter,) = set(results) & set(letters)
        assert all(isinstance(error, InvalidOffset) for error in failures(results))
        assert driver.get_content(PATH) == b"content" + letter * 100


@lacks("supports_append")
class NoAppendTests(DriverFixtures):
    """What a driver does that cannot append."""

    def test_a_driver_that_does_not_append_says_so(self, driver: StorageDriver) -> None:
        """It refuses, instead of beginning anew."""
        write(driver, PATH, b"content")
        with pytest.raises(UnsupportedMethod):
            driver.writer(PATH, 7)
