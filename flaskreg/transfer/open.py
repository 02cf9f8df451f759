"""Which source a text names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.transfer.archive import open_archive
from flaskreg.transfer.layout import Folder
from flaskreg.transfer.layout import LayoutSource
from flaskreg.transfer.remote import Remote
from flaskreg.transfer.source import Source
from flaskreg.transfer.source import SourceError
from flaskreg.transfer.tree import TreeSource


def open_source(text: str, user: str = "", password: str = "") -> Source:
    """Return the source that *text* names.

    A URL is another registry, perhaps with a repository and a tag or digest; a folder
    is a storage of distribution or an OCI layout; a file is an archive.

    :raises SourceError: it names none of them.
    """
    if text.startswith(("http://", "https://")):
        return _remote(text, user, password)
    path = Path(text)
    if path.is_file():
        return open_archive(path)
    if (path / "oci-layout").is_file():
        return LayoutSource(Folder(path))
    if (path / "docker" / "registry" / "v2").is_dir():
        return TreeSource(FilesystemDriver(text))
    raise SourceError(
        f"{text} is no URL, no archive, no OCI layout, and no folder with docker/"
    )


def _remote(text: str, user: str, password: str) -> Remote:
    parts = urlsplit(text)
    name, reference = parts.path.strip("/"), ""
    if "@" in name:
        name, _, reference = name.partition("@")
    elif ":" in name:
        name, _, reference = name.partition(":")
    return Remote(f"{parts.scheme}://{parts.netloc}", name, reference, user, password)
