"""Drivers that are each wrong in one way, for the driver suite to find.

``MUTANTS`` maps each to the tests that are there for its mistake.
"""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import replace

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driver import FileInfo
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound


class PutsInSteps(InMemoryDriver):
    """Writes a file in two steps, so that a reader can see the first alone."""

    def put_content(self, path, content, *, durable=True):
        if len(content) > 1000:
            super().put_content(path, content[:1000])
            time.sleep(0.001)
        super().put_content(path, content, durable=durable)


class DecodesText(InMemoryDriver):
    """Takes content for text."""

    def put_content(self, path, content, *, durable=True):
        text = content.decode("utf-8", "replace")
        super().put_content(path, text.encode(), durable=durable)


class TrustsPaths(InMemoryDriver):
    """Removes ``..`` instead of refusing it."""

    def get_content(self, path):
        return super().get_content(path.replace("/..", ""))


class ReadsPastTheEndAsError(InMemoryDriver):
    """Refuses an offset past the end."""

    def reader(self, path, offset=0):
        size = len(self.get_content(path))
        if offset > size:
            raise InvalidOffset(path, size)
        return super().reader(path, offset)


class ReadsFromTheBeginning(InMemoryDriver):
    """Forgets the offset of a reader."""

    def reader(self, path, offset=0):
        super().reader(path, offset).close()
        return super().reader(path)


class _LateStream:
    """Opens its file again for each read."""

    def __init__(self, driver, path, offset):
        self._driver = driver
        self._path = path
        self._offset = offset

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self, size=-1):
        with InMemoryDriver.reader(self._driver, self._path, self._offset) as stream:
            chunk = stream.read(size)
        self._offset += len(chunk)
        return chunk

    def close(self):
        pass


class ReadsLate(InMemoryDriver):
    """Reads what is at the path by now, not what was there when it was opened."""

    def reader(self, path, offset=0):
        super().reader(path, offset).close()
        return _LateStream(self, path, offset)


class ShowsUncommitted(InMemoryDriver):
    """Gives content that is not committed."""

    def get_content(self, path):
        upload = self._uploads.get(path)
        return super().get_content(path) if upload is None else bytes(upload.content)


class AppendsAnywhere(InMemoryDriver):
    """Goes on wherever the content ends, whatever the caller believes."""

    def writer(self, path, append_at=None):
        if append_at is not None:
            append_at = self.stat(path).size
        return super().writer(path, append_at)


class LetsTwoAppend(InMemoryDriver):
    """Does not know that somebody is writing."""

    def writer(self, path, append_at=None):
        self._held.discard(path)
        return super().writer(path, append_at)


class BeginsWithWhatIsThere(InMemoryDriver):
    """Appends to earlier content though it was told to begin anew."""

    def writer(self, path, append_at=None):
        if append_at is None and path in self._uploads:
            append_at = len(self._uploads[path].content)
        return super().writer(path, append_at)


class KeepsWhatIsCancelled(InMemoryDriver):
    """Leaves the content of a cancelled writer."""

    def _drop(self, path):
        pass


class ListsEverything(InMemoryDriver):
    """Lists all that is below a directory."""

    def list(self, path):
        super().list(path)
        below = path.rstrip("/") + "/"
        return [
            name.removeprefix(below) for name in self._files if name.startswith(below)
        ]


class WalksInAnyOrder(InMemoryDriver):
    """Walks files before directories."""

    def walk(self, path):
        infos = list(super().walk(path))
        yield from sorted(infos, key=lambda info: info.is_dir)


class FindsEverything(InMemoryDriver):
    """Takes what is missing for an empty directory, as object stores do."""

    def stat(self, path):
        try:
            return super().stat(path)
        except PathNotFound:
            return FileInfo(path, 0, is_dir=True)


class MovesByCopying(InMemoryDriver):
    """Leaves the source of a move."""

    def move(self, source, destination):
        self.put_content(destination, self.get_content(source))


class LosesWhatIsMovedOntoItself(InMemoryDriver):
    """Copies, and then deletes the source, which is the destination."""

    def move(self, source, destination):
        self.put_content(destination, self.get_content(source))
        self.delete(source)


class KeepsWhatIsThere(InMemoryDriver):
    """Does not move onto a file that exists."""

    def move(self, source, destination):
        if destination not in self._files:
            return super().move(source, destination)
        return self.delete(source)


class PublishesLinksFirst(InMemoryDriver):
    """Writes links before it moves what they lead to."""

    def publish(self, contents, moves=(), exclusive=()):
        super().publish(contents, (), exclusive)
        time.sleep(0.001)
        super().publish([], moves)


class IgnoresExclusive(InMemoryDriver):
    """Replaces what is at a path where nothing may be."""

    def publish(self, contents, moves=(), exclusive=()):
        del exclusive
        super().publish(contents, moves)


class LooksBeforeItPublishes(InMemoryDriver):
    """Looks whether an exclusive path is free, and has another come between."""

    def publish(self, contents, moves=(), exclusive=()):
        for path, _ in contents:
            if path in exclusive and path in self._files:
                raise PathExists(path)
        time.sleep(0.001)
        super().publish(contents, moves)


class PublishesAllOrNothing(InMemoryDriver):
    """Looks at every exclusive path before it writes anything."""

    def publish(self, contents, moves=(), exclusive=()):
        for path, _ in contents:
            if path in exclusive and path in self._files:
                raise PathExists(path)
        super().publish(contents, moves, exclusive)


class KeepsNoTimes(InMemoryDriver):
    """Tells no times, which its suite does not say."""

    def stat(self, path):
        return replace(super().stat(path), modified=None)


class ClaimsToDateDirectories(InMemoryDriver):
    """States an ability that its suite does not state."""

    dates_directories = True


class DeletesSiblings(InMemoryDriver):
    """Deletes by the beginning of the path."""

    def delete(self, path, *, durable=True):
        super().delete(path, durable=durable)
        for name in [name for name in self._files if name.startswith(path)]:
            super().delete(name)


class DeletesNothing(InMemoryDriver):
    """Takes it for no error when there is nothing to delete."""

    def delete(self, path, *, durable=True):
        try:
            super().delete(path, durable=durable)
        except PathNotFound:
            return


class LeavesUploads(InMemoryDriver):
    """Deletes a directory, but not the uploads in it."""

    def delete(self, path, *, durable=True):
        kept = {name: up for name, up in self._uploads.items() if name != path}
        super().delete(path, durable=durable)
        self._uploads.update(kept)


class StartsThreads(InMemoryDriver):
    """Starts a thread when it is constructed, which a fork would lose."""

    def __init__(self):
        super().__init__()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._closed.wait, daemon=True)
        self._thread.start()

    def close(self):
        self._closed.set()
        self._thread.join()


class WritesWhenMade(InMemoryDriver):
    """Makes a file when it is constructed."""

    def __init__(self):
        super().__init__()
        with tempfile.TemporaryFile():
            pass


MUTANTS = {
    PutsInSteps: ["test_put_is_all_or_nothing"],
    DecodesText: ["test_put_and_get"],
    TrustsPaths: ["test_invalid_paths"],
    ReadsPastTheEndAsError: ["test_reader_at_and_past_the_end"],
    ReadsFromTheBeginning: ["test_reader_begins_at_its_offset"],
    ReadsLate: [
        "test_reader_goes_on_after_a_delete",
        "test_reader_goes_on_after_a_replacement",
    ],
    ShowsUncommitted: ["test_uncommitted_content_is_not_readable"],
    AppendsAnywhere: ["test_append_at_another_size"],
    LetsTwoAppend: [
        "test_of_two_who_append_one_is_refused",
        "test_a_committed_path_is_the_writers_until_it_closes",
    ],
    BeginsWithWhatIsThere: ["test_a_writer_begins_anew"],
    KeepsWhatIsCancelled: [
        "test_cancel_drops_content",
        "test_cancel_drops_what_earlier_writers_left",
    ],
    ListsEverything: ["test_list_gives_direct_children"],
    WalksInAnyOrder: ["test_walk_goes_in_order"],
    FindsEverything: ["test_missing_paths"],
    MovesByCopying: ["test_move"],
    LosesWhatIsMovedOntoItself: ["test_move_onto_itself"],
    KeepsWhatIsThere: ["test_move_replaces"],
    PublishesLinksFirst: [
        "test_publish_of_nothing",
        "test_publish_keeps_its_order",
    ],
    IgnoresExclusive: [
        "test_what_is_at_an_exclusive_path_stays",
        "test_what_comes_before_an_exclusive_path_is_visible",
        "test_of_many_who_publish_at_one_path_one_does",
        "test_an_exclusive_publish_never_replaces_a_put",
    ],
    LooksBeforeItPublishes: ["test_of_many_who_publish_at_one_path_one_does"],
    PublishesAllOrNothing: ["test_what_comes_before_an_exclusive_path_is_visible"],
    KeepsNoTimes: [
        "test_the_time_of_the_last_change",
        "test_abilities_are_those_of_the_driver",
    ],
    ClaimsToDateDirectories: ["test_abilities_are_those_of_the_driver"],
    DeletesSiblings: ["test_delete_never_takes_siblings"],
    DeletesNothing: ["test_delete_of_a_file"],
    LeavesUploads: ["test_delete_drops_uncommitted_content"],
    StartsThreads: ["test_construction_does_no_io"],
    WritesWhenMade: ["test_construction_does_no_io"],
}
