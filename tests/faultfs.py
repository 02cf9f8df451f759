"""A model of a disk that loses power, under the ``filesystem`` driver.

The driver's calls of :mod:`os` are done, and noted as numbered operations. They can be
done again on a model that knows what of them has reached the disk: the bytes and the
size of a file at its last sync, and the names in a directory at its last sync. So for
a cut after any of them it tells what may be found when the power is back.

Two kinds of file systems are modelled. ``strict`` is what POSIX promises and no more:
each file and each directory has to be synced itself. ``journal`` is ext4 and XFS: names
change in order, and a sync of anything that changed brings all changes of names before
it to the disk. In neither does a sync of one file write the bytes of another.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest

from flaskreg.defaults import filesystem
from flaskreg.defaults import localfiles


#: the modules whose calls are noted.
MODULES = (filesystem, localfiles)

#: what changes nothing on a disk.
HARMLESS = frozenset(
    {"PathLike", "fstat", "fspath", "listdir", "lseek", "path", "read", "scandir",
     "stat", "strerror"}
)  # fmt: skip

#: bytes and directories by their paths below the root; a directory has no bytes.
Tree = Mapping[str, bytes | None]


@dataclass(eq=False)
class File:
    """A file, whatever names it has."""

    content: bytearray = field(default_factory=bytearray)
    #: what is on the disk for certain.
    durable: bytes = b""
    #: writes at offsets, and sizes that it was cut to, since the last sync.
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)
    #: whether its inode changed since the journal was written.
    changed: bool = True

    def change(self, change: tuple[int, bytes] | int) -> None:
        """Write or cut, in memory."""
        apply_change(self.content, change)
        self.pending.append(change)
        self.changed = True

    def sync(self) -> None:
        """Bring all of it to the disk."""
        self.durable = bytes(self.content)
        self.pending.clear()


@dataclass(eq=False)
class Directory:
    """A directory: what its names stand for, and what each stood for since its sync."""

    entries: dict[str, File | Directory] = field(default_factory=dict)
    durable: dict[str, File | Directory] = field(default_factory=dict)
    pending: dict[str, list[File | Directory | None]] = field(default_factory=dict)
    changed: bool = True

    def set(self, name: str, node: File | Directory | None) -> None:
        """Let a name stand for something, or for nothing."""
        if node is None:
            del self.entries[name]
        else:
            self.entries[name] = node
            node.changed = True
        self.pending.setdefault(name, []).append(node)
        self.changed = True

    def sync(self) -> None:
        """Bring all names to the disk."""
        self.durable = dict(self.entries)
        self.pending.clear()


Node = File | Directory


def apply_change(content: bytearray, change: tuple[int, bytes] | int) -> None:
    """Write at an offset, or cut to a size."""
    if isinstance(change, int):
        content[change:] = bytes(max(change - len(content), 0))
        return
    offset, data = change
    content.extend(bytes(max(offset - len(content), 0)))
    content[offset : offset + len(data)] = data


@dataclass(frozen=True)
class Operation:
    """One change that the driver made, or one sync that it waited for."""

    kind: str
    path: str = ""
    other: str = ""
    #: the number of the file or directory, where it is not named by a path.
    node: int = 0
    change: tuple[int, bytes] | int = 0

    def __str__(self) -> str:
        paths = " to ".join(path for path in (self.path, self.other) if path)
        return f"{self.kind} of {paths or self.node}"


class Model:
    """A disk, and what of it the operations so far have made certain.

    :param kind: ``strict`` or ``journal``.
    :param ignored: kinds of operations that do nothing, as in a driver that forgot
        them.
    """

    def __init__(self, kind: str, ignored: Iterable[str] = ()) -> None:
        self._kind = kind
        self._ignored = frozenset(ignored)
        self.root = Directory()
        self.nodes: list[Node] = [self.root]

    def find(self, path: str) -> Node:
        """Return what a path stands for now."""
        node: Node = self.root
        for name in Path(path).parts:
            assert isinstance(node, Directory)
            node = node.entries[name]
        return node

    def do(self, operation: Operation) -> None:
        """Do one operation."""
        if operation.kind not in self._ignored:
            doer: Callable[[Operation], None] = getattr(self, f"_{operation.kind}")
            doer(operation)

    def _place(self, path: str) -> tuple[Directory, str]:
        directory = self.find(os.path.dirname(path))
        assert isinstance(directory, Directory)
        return directory, os.path.basename(path)

    def _add(self, path: str, node: Node) -> None:
        self.nodes.append(node)
        directory, name = self._place(path)
        directory.set(name, node)

    def _create(self, operation: Operation) -> None:
        self._add(operation.path, File())

    def _mkdir(self, operation: Operation) -> None:
        self._add(operation.path, Directory())

    def _change(self, operation: Operation) -> None:
        node = self.nodes[operation.node]
        assert isinstance(node, File)
        node.change(operation.change)

    def _remove(self, operation: Operation) -> None:
        directory, name = self._place(operation.path)
        directory.set(name, None)

    def _link(self, operation: Operation) -> None:
        node = self.find(operation.path)
        directory, name = self._place(operation.other)
        directory.set(name, node)

    def _rename(self, operation: Operation) -> None:
        self._link(operation)
        self._remove(operation)

    def _sync_file(self, operation: Operation) -> None:
        self._sync(self.nodes[operation.node])

    def _sync_directory(self, operation: Operation) -> None:
        self._sync(self.nodes[operation.node])

    def _sync(self, node: Node) -> None:
        if self._kind == "journal" and node.changed:
            for each in self.nodes:
                each.changed = False
                if isinstance(each, Directory):
                    each.sync()
        node.sync()

    def survivors(self, outcome: Outcome) -> Tree:
        """Return what is found after a cut now, when the disk behaves in one way."""
        found: dict[str, bytes | None] = {}

        def visit(directory: Directory, path: str) -> None:
            for name, node in outcome.names(directory).items():
                place = f"{path}{name}"
                if isinstance(node, Directory):
                    found[place] = None
                    visit(node, f"{place}/")
                else:
                    found[place] = outcome.content(node)

        visit(self.root, "")
        return found


class Outcome:
    """What becomes of that which was not synced: here, all of it is lost."""

    def names(self, directory: Directory) -> Mapping[str, Node]:
        """Return the names that are found in a directory."""
        return directory.durable

    def content(self, file: File) -> bytes:
        """Return the bytes that are found in a file."""
        return file.durable


class NamesKept(Outcome):
    """Every name is there, and of the files what was synced."""

    def names(self, directory: Directory) -> Mapping[str, Node]:
        """Return all names."""
        return directory.entries


class SizesKept(NamesKept):
    """Every name is there, and files have their sizes, with zeros for lost bytes."""

    def content(self, file: File) -> bytes:
        """Return what was synced, in a file of the size that was seen last."""
        content = bytearray(file.durable)
        for change in file.pending:
            if not isinstance(change, int):
                change = (change[0], bytes(len(change[1])))
            apply_change(content, change)
        return bytes(content)


class AllKept(NamesKept):
    """Nothing is lost, as when only the process dies."""

    def content(self, file: File) -> bytes:
        """Return all bytes."""
        return bytes(file.content)


class Mixed(Outcome):
    """Each name and each write by itself is there or is not.

    :param seed: of the choice.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def names(self, directory: Directory) -> Mapping[str, Node]:
        """Let each name stand for something that it stood for since the sync."""
        found = dict(directory.durable)
        for name, nodes in directory.pending.items():
            node = self._random.choice([directory.durable.get(name), *nodes])
            if node is None:
                found.pop(name, None)
            else:
                found[name] = node
        return found

    def content(self, file: File) -> bytes:
        """Let each write be there, be zeros, be there in part, or not be there."""
        content = bytearray(file.durable)
        for change in file.pending:
            if isinstance(change, int):
                if self._random.random() < 0.5:
                    apply_change(content, change)
                continue
            offset, data = change
            kept = self._random.choice([data, bytes(len(data)), data[: len(data) // 2]])
            if self._random.random() < 0.75:
                apply_change(content, (offset, kept))
        return bytes(content)


class RecordingOs:
    """Stands for :mod:`os` in the driver: does what is asked, and notes it.

    A call that is not known here is an error: it could change a disk unnoticed.

    :param root: the directory that stands for the disk.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._model = Model("strict")
        self._open: dict[int, int] = {}
        #: what was done so far.
        self.operations: list[Operation] = []

    def __getattr__(self, name: str) -> Any:
        if name in HARMLESS or name.startswith(("O_", "SEEK_")):
            return getattr(os, name)
        raise AssertionError(f"os.{name} is not modelled")

    def _below(self, path: str) -> str:
        assert path == self._root or path.startswith(self._root + "/"), path
        return path[len(self._root) + 1 :]

    def _note(self, operation: Operation) -> None:
        self._model.do(operation)
        self.operations.append(operation)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        """Open a file, and make it when it is not there and may be made."""
        assert not flags & os.O_TRUNC
        if flags & os.O_DIRECTORY and self._root.startswith(path.rstrip("/") + "/"):
            # Above the disk, where the test runner's own files are.
            return os.open(path, flags)
        there = os.path.exists(path)
        descriptor = os.open(path, flags, mode)
        below = self._below(path)
        if not there:
            self._note(Operation("create", below))
        self._open[descriptor] = self._model.nodes.index(self._model.find(below))
        return descriptor

    def close(self, descriptor: int) -> None:
        """Close a file, which writes nothing."""
        self._open.pop(descriptor, None)
        os.close(descriptor)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write at the position of the descriptor."""
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
        written = os.write(descriptor, data)
        change = (offset, bytes(data[:written]))
        node = self._open[descriptor]
        self._note(Operation("change", node=node, change=change))
        return written

    def ftruncate(self, descriptor: int, size: int) -> None:
        """Cut a file, or lengthen it with zeros."""
        os.ftruncate(descriptor, size)
        node = self._open[descriptor]
        self._note(Operation("change", node=node, change=size))

    def fsync(self, descriptor: int) -> None:
        """Note that a file or directory was synced; the real disk need not be."""
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        kind = "sync_directory" if is_directory else "sync_file"
        if descriptor in self._open:
            self._note(Operation(kind, node=self._open[descriptor]))

    fdatasync = fsync

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        """Make a directory."""
        os.mkdir(path, mode)
        self._note(Operation("mkdir", self._below(path)))

    def rename(self, source: str, destination: str) -> None:
        """Give a file another name."""
        os.rename(source, destination)
        self._note(Operation("rename", self._below(source), self._below(destination)))

    def link(self, source: str, destination: str) -> None:
        """Give a file one more name."""
        os.link(source, destination)
        self._note(Operation("link", self._below(source), self._below(destination)))

    def unlink(self, path: str) -> None:
        """Take a file's name away."""
        os.unlink(path)
        self._note(Operation("remove", self._below(path)))

    def rmdir(self, path: str) -> None:
        """Take an empty directory away."""
        os.rmdir(path)
        self._note(Operation("remove", self._below(path)))


@contextmanager
def recording(root: Path) -> Iterator[RecordingOs]:
    """Note what the driver does below a directory, which is empty and durable."""
    recorder = RecordingOs(root)
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            patch.setattr(module, "os", recorder)
        yield recorder


def cuts(
    operations: Sequence[Operation], kind: str, ignored: Iterable[str] = ()
) -> Iterator[tuple[int, Model]]:
    """Yield the disk after each number of operations, from none to all."""
    model = Model(kind, ignored)
    yield 0, model
    for number, operation in enumerate(operations, 1):
        model.do(operation)
        yield number, model


def materialise(tree: Tree, root: Path) -> None:
    """Write what was found into an empty directory."""
    root.mkdir()
    for path, content in tree.items():
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
