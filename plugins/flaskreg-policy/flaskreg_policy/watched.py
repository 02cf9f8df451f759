"""A file whose content is parsed again when it changes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Generic
from typing import TypeVar

from flaskreg.config import ConfigError
from flaskreg.filelook import FileLook
from flaskreg.filelook import Look


T = TypeVar("T")

_log = logging.getLogger("flaskreg.policy")

#: a file that changed less long ago may change again without looking changed.
_FRESH = 2.0


class WatchedFile(Generic[T]):
    """What a file says, as of now.

    Each call looks at the file's time, size and inode, or takes a look that is hardly
    older, so that all workers follow a change at once.

    :param path: the name of the file.
    :param parse: makes the value of the content, or raises
        :class:`~flaskreg.config.ConfigError`.
    :param broken: what holds while the file is wrong, and while there is none, which
        is fine then; without it, the last good value does.
    """

    def __init__(
        self, path: str, parse: Callable[[bytes], T], broken: T | None = None
    ) -> None:
        self.path = path
        self._parse = parse
        self._broken = broken
        self._value: T | None = None
        self._look = FileLook(path)
        self._signature: Look | None = None
        self._content: bytes | None = None
        self._settled = False
        self._lock = threading.Lock()

    def get(self, *, anew: bool = False) -> T:
        """Return the value.

        :param anew: look for changes now in any case.
        :raises ConfigError: the file is wrong or missing, and there is nothing else.
        """
        signature = self._look.take(anew=anew)
        if signature != self._signature or not self._settled:
            with self._lock:
                if signature != self._signature or not self._settled:
                    self._read(signature)
        if self._value is None:
            raise ConfigError(f"{self.path}: there is no good content yet")
        return self._value

    def _read(self, signature: Look) -> None:
        started = time.time()
        try:
            with open(self.path, "rb") as stream:
                changed = os.fstat(stream.fileno()).st_mtime
                content = stream.read()
        except OSError as error:
            self._settled = True
            self._signature, self._content = signature, None
            if self._broken is not None and isinstance(error, FileNotFoundError):
                self._value = self._broken
                return
            self._keep(ConfigError(f"{self.path}: {error.strerror or error}"))
            return
        if content != self._content or signature != self._signature:
            try:
                self._value = self._parse(content)
            except ConfigError as error:
                self._keep(error)
        self._content, self._signature = content, signature
        self._settled = changed < started - _FRESH

    def _keep(self, error: ConfigError) -> None:
        """Hold on to what was good, and say so; at first there is nothing to hold."""
        if self._broken is not None:
            self._value = self._broken
            _log.error("%s; nothing in it holds until this is mended", error)
        elif self._value is not None:
            _log.error("%s; what it said before still holds", error)
        else:
            self._signature = None
            raise error
