"""The folder that keeps the account, certificates, their keys, and challenges.

Names and content are those of autocert's ``DirCache``, which distribution uses: its
folder can be taken over as it is, and given back.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from flaskreg.config import ConfigError


#: the key of the account.
ACCOUNT = "acme_account+key"


class Folder:
    """A folder of small files that only their owner may read.

    A file is there as a whole or not at all, whatever happens meanwhile.

    :param path: of the folder; it is made when it is not there.
    :raises ConfigError: it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = f"{path} cannot be used: {error.strerror}"
            raise ConfigError(f"http.tls.letsencrypt.cachefile: {reason}") from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ConfigError(
                f"http.tls.letsencrypt.cachefile: {path} cannot be written to"
            )

    @property
    def lock(self) -> Path:
        """Return the file that the process that asks for certificates locks."""
        return self.path / "flaskreg.lock"

    def certificate(self, host: str) -> Path:
        """Return the file with the key and the certificate chain of a host (PEM)."""
        return self.path / host

    def challenge(self, host: str) -> Path:
        """Return the file with the key and certificate that answer for a host."""
        return self.path / f"{host}+token"

    def read(self, path: Path) -> bytes | None:
        """Return the content of a file; ``None`` when it is not there."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: Path, content: bytes) -> None:
        """Write a file; it is durable when this returns.

        :raises OSError: it is not; what was there before still is.
        """
        file, name = tempfile.mkstemp(prefix=".new-", dir=self.path)
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
