"""The file that API keys are kept in: read when it changes, written as a whole."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flaskreg.config import ConfigError
from flaskreg_policy.apikeys import ApiKey
from flaskreg_policy.apikeys import KeySet
from flaskreg_policy.identity import Identity
from flaskreg_policy.identity import WrongCredentials
from flaskreg_policy.watched import WatchedFile


_VERSION = 1
_NOTHING = KeySet()


class ApiKeyStore:
    """API keys in a file.

    A file that is missing has none; one that cannot be read is good for none, since a
    key that was revoked must not come back.

    :param path: of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._watched = WatchedFile(path, self._parse, _NOTHING)

    def keys(self, *, anew: bool = False) -> KeySet:
        """Return the keys.

        :param anew: look for changes now in any case.
        """
        return self._watched.get(anew=anew)

    def identify(self, text: str) -> Identity:
        """Return whose key *text* is.

        :raises WrongCredentials: it is none, or it is over.
        """
        found = self.keys().check(text)
        if isinstance(found, str):
            found = self.keys(anew=True).check(text)
        if isinstance(found, str):
            raise WrongCredentials(found)
        return _identity(found)

    def identify_id(self, key_id: str) -> Identity:
        """Return whose key has an id; for tokens that were made by one.

        :raises WrongCredentials: it is over.
        """
        found = self.keys().find(key_id)
        if found is None:
            raise WrongCredentials(f"API key {key_id} is revoked")
        if found.expired():
            raise WrongCredentials(f"API key {key_id} has expired")
        return _identity(found)

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Hold the lock of the file, and write what was changed at the end.

        :raises ConfigError: the file cannot be read; it is left as it is.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self.path}.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            change = Change(self._read())
            before = change.keys
            yield change
            if change.keys is not before:
                self._write(change.keys)

    def _read(self) -> KeySet:
        try:
            return self._parse(self.path.read_bytes())
        except FileNotFoundError:
            return _NOTHING

    def _write(self, keys: KeySet) -> None:
        document = {
            "version": _VERSION,
            "secret": keys.secret,
            "keys": [key.to_json() for key in keys.keys],
        }
        folder = self.path.parent
        # mkstemp makes it readable by its owner alone.
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{self.path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=1)
                stream.flush()
                if self.path.exists():
                    kept = self.path.stat()
                    os.fchmod(descriptor, kept.st_mode & 0o777)
                    if os.geteuid() == 0:
                        os.fchown(descriptor, kept.st_uid, kept.st_gid)
                os.fsync(descriptor)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise
        _sync(folder)

    def _parse(self, content: bytes) -> KeySet:
        try:
            document: Any = json.loads(content)
            entries = [ApiKey.from_json(entry) for entry in document["keys"]]
            return KeySet(str(document["secret"]), tuple(entries))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError(f"{self.path}: is no store of API keys") from None


class Change:
    """The keys while they are changed; assign to ``keys``."""

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys


def _identity(key: ApiKey) -> Identity:
    return Identity(key.user, via="apikey", key=key.id, limits=key.limits)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
