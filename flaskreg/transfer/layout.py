"""OCI image layouts: a folder, or the same in a tar archive.

Source: OCI image specification, "Image Layout".
"""

from __future__ import annotations

import json
import os
from abc import ABC
from abc import abstractmethod
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import BinaryIO

from flaskreg.digest import Digest
from flaskreg.errors import RegistryError
from flaskreg.names import parse_tag
from flaskreg.transfer.source import Listing
from flaskreg.transfer.source import ManifestMissing
from flaskreg.transfer.source import Source
from flaskreg.transfer.source import SourceError
from flaskreg.transfer.source import decode
from flaskreg.transfer.source import digest_in
from flaskreg.transfer.source import listed
from flaskreg.transfer.source import media_type_of


#: annotations that name an image, whole names first.
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
REF_NAME = "org.opencontainers.image.ref.name"

#: no index and no manifest is larger, in bytes.
LARGEST = 64 << 20


class Files(ABC):
    """Files by their relative names."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open a file.

        :raises SourceError: it is not there.
        """

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether a file is there."""

    def read(self, name: str) -> bytes:
        """Return a small file."""
        with self.open(name) as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise SourceError(f"{name} is larger than {LARGEST} bytes")
        return content

    def close(self) -> None:
        """Let go of what is open."""


class Folder(Files):
    """Files below a folder.

    :param path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> BinaryIO:
        """Open a file."""
        try:
            return open(self._path / name, "rb")
        except OSError as error:
            raise SourceError(f"{name}: {error.strerror}") from None

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return (self._path / name).is_file()


class LayoutSource(Source):
    """Images of a layout.

    :param files: of the layout.
    :raises SourceError: it is none.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._index = decode(files.read("index.json"))

    def iter_repositories(self) -> Iterator[str]:
        """Yield the names that the annotations have; ``""`` for tags alone."""
        entries = listed(self._index, "manifests")
        yield from sorted({_named(entry)[0] for entry in entries})

    def get_listing(self, repository: str) -> Listing:
        """Return what the index lists, by tag where there is one."""
        tags, untagged = {}, []
        for entry in listed(self._index, "manifests"):
            name, tag = _named(entry)
            if name == repository and tag:
                tags[tag] = digest_in(entry)
            elif name == repository:
                untagged.append(digest_in(entry))
        return Listing(tags, untagged)

    def get_manifest(self, repository: str, digest: Digest) -> tuple[bytes, str]:
        """Return a manifest of the layout."""
        del repository
        if not self._files.has(blob_name(digest)):
            raise ManifestMissing(f"the layout has no manifest {digest}")
        content = self._files.read(blob_name(digest))
        for entry in listed(self._index, "manifests"):
            if entry["digest"] == digest and isinstance(entry.get("mediaType"), str):
                return content, entry["mediaType"]
        return content, media_type_of(content)

    def open_blob(self, repository: str, digest: Digest) -> BinaryIO:
        """Open a blob of the layout."""
        del repository
        return self._files.open(blob_name(digest))

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()


def blob_name(digest: Digest) -> str:
    """Return the name of a blob in a layout."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def _named(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return the repository and the tag that an entry's annotations say."""
    annotations = entry.get("annotations")
    for key in _NAMES:
        value = annotations.get(key) if isinstance(annotations, dict) else None
        if isinstance(value, str) and value:
            return split_name(value)
    return "", ""


def split_name(text: str) -> tuple[str, str]:
    """Return repository and tag of a name such as ``host/team/app:v1``, or ``v1``.

    The host goes: its images are imported to this one.
    """
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    if not slash and not colon:
        return "", tag_or_nothing(text)
    first, _, rest = head.partition("/")
    if "." in first or ":" in first or first == "localhost":
        head = rest
    return (f"{head}/{name}" if head else name), tag_or_nothing(tag)


def tag_or_nothing(text: str) -> str:
    """Return a tag, or ``""`` for what is none."""
    try:
        return parse_tag(text)
    except RegistryError:
        return ""


class LayoutWriter:
    """Writes a layout; what is there already stays.

    :param path: of the folder, made when it is missing.
    :raises SourceError: something else is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        index = path / "index.json"
        self._index: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
        if index.exists():
            self._index = decode(index.read_bytes())
        elif path.exists() and any(path.iterdir()) and not (path / "blobs").exists():
            raise SourceError(f"{path} is not empty, and no OCI layout")
        path.mkdir(parents=True, exist_ok=True)
        self._write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def has(self, digest: Digest, size: int) -> bool:
        """Whether a blob is there; one that is, is whole."""
        try:
            return (self._path / blob_name(digest)).stat().st_size == size
        except OSError:
            return False

    def put(self, digest: Digest, chunks: Iterator[bytes]) -> None:
        """Write a blob, under another name until it is whole."""
        target = self._path / blob_name(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        with open(partial, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)

    def add(self, descriptor: Mapping[str, Any], tag: str = "") -> None:
        """Put a manifest into the index; a tag names one manifest."""
        entry = dict(descriptor)
        if tag:
            entry["annotations"] = {**entry.get("annotations", {}), REF_NAME: tag}
        kept = [
            each
            for each in listed(self._index, "manifests")
            if not (_tag(each) == tag and (tag or each["digest"] == entry["digest"]))
        ]
        self._index["manifests"] = [*kept, entry]
        text = json.dumps(self._index, separators=(",", ":"))
        self._write("index.json", text.encode())

    def _write(self, name: str, content: bytes) -> None:
        partial = self._path / f".{name}.part"
        partial.write_bytes(content)
        partial.rename(self._path / name)


def _tag(entry: Mapping[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(REF_NAME, "")) if isinstance(annotations, dict) else ""
