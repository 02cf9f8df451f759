"""The local folder in which downloads grow, and where workers leave notes.

With a driver of plain files it is a folder of the storage, so that a finished download
becomes a blob by a rename. Content of other drivers goes through their writer.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress

from flaskreg.config import ConfigError
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg.services import Repository
from flaskreg.storage.linkedblobs import LinkedBlobStore


#: the folder in the storage.
IN_STORAGE = "/flaskreg/proxy"

#: what was not touched for so long was given up, in seconds.
ABANDONED = 24 * 3600.0
#: the time between two looks for it.
_LOOK = 3600.0
_STEP = 1 << 20


class Workplace:
    """The folder, made when it is first used.

    :param driver: the storage.
    :param folder: as configured; ``""`` for none.
    """

    def __init__(self, driver: StorageDriver, folder: str) -> None:
        self._in_storage = not folder and driver.filename(IN_STORAGE) is not None
        self._folder = folder or driver.filename(IN_STORAGE)
        self._made: set[str] = set()
        self._looked = 0.0

    @property
    def downloads_in_storage(self) -> str | None:
        """Return the folder of downloads, when it takes of the storage's room."""
        return f"{self._folder}/downloads" if self._in_storage else None

    def download(self, digest: Digest) -> str:
        """Return the file in which a blob grows."""
        return f"{self._place('downloads')}/{digest.replace(':', '-', 1)}"

    def tag(self, key: str) -> str:
        """Return the file of what is known of a tag."""
        return f"{self._place('tags', key[:2])}/{key}"

    def token(self, key: str) -> str:
        """Return the file of a token, in a folder that nobody else can read."""
        return f"{self._place('tokens')}/{key}"

    def limit(self, key: str) -> str:
        """Return the file of what an upstream said of its limits."""
        return f"{self._place('limits')}/{key}"

    def lock(self, key: str) -> str:
        """Return the file of a lock."""
        return f"{self._place('locks')}/{key}"

    def store(self, local: Repository, digest: Digest, descriptor: Descriptor) -> None:
        """Make a finished, verified download a blob of a repository.

        :param digest: by which it was asked for.
        :param descriptor: of the content, by its canonical digest.
        """
        filename = self.download(digest)
        blobs = local.blobs
        if self._in_storage and isinstance(blobs, LinkedBlobStore):
            name = os.path.basename(filename)
            blobs.adopt(f"{IN_STORAGE}/downloads/{name}", digest, descriptor)
            return
        session = local.uploads.start(digest.algorithm)
        try:
            session.commit(digest, _read(filename))
        except BaseException:
            session.cancel()
            raise
        with suppress(FileNotFoundError):
            os.unlink(filename)

    def tidy(self) -> None:
        """Delete downloads that nobody goes on with; looks once an hour."""
        now = time.time()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        with os.scandir(self._place("downloads")) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if now - entry.stat().st_mtime > ABANDONED:
                        os.unlink(entry.path)

    def _place(self, *names: str) -> str:
        if self._folder is None:
            self._folder = _below_temporary_files()
        folder = "/".join((self._folder, *names))
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            if names[0] == "tokens":
                os.chmod(folder, 0o700)
            self._made.add(folder)
        return folder


def _below_temporary_files() -> str:
    """Return a folder that is this user's alone, though others may write beside it.

    :raises ConfigError: somebody else made it.
    """
    folder = f"{tempfile.gettempdir()}/flaskreg-proxy-{os.getuid()}"
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    own = found.st_uid == os.getuid() and not found.st_mode & 0o077
    if not own or not stat.S_ISDIR(found.st_mode):
        raise ConfigError(
            f"proxy.workdir: {folder} is not a directory of this user alone; "
            "name another one"
        )
    return folder


def _read(filename: str) -> Iterator[bytes]:
    with open(filename, "rb", buffering=0) as file:
        while chunk := file.read(_STEP):
            yield chunk
