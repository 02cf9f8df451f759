"""The content of a password file, read again when it changes.

Source: CNCF distribution's ``htpasswd`` controller. A line is a user, a colon and a
hash; blank lines and lines that begin with ``#`` are skipped.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from flaskreg.config import ConfigError
from flaskreg.filelook import FileLook
from flaskreg_htpasswd.hashes import COST
from flaskreg_htpasswd.hashes import cost_of


_log = logging.getLogger("flaskreg.htpasswd")

#: a file that changed less long ago (ns) may change again without looking changed.
_FRESH = 2_000_000_000


@dataclass(frozen=True)
class Table:
    """Users with their hashes.

    :param hashes: by the user's name; some may not be of bcrypt.
    """

    hashes: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def cost(self) -> int:
        """Return what checking a password usually costs."""
        costs = Counter(filter(None, map(cost_of, self.hashes.values())))
        return max(costs, key=lambda cost: (costs[cost], cost), default=COST)


def parse_table(content: bytes, path: str) -> Table:
    """Return what a password file says; of two lines for a user the last one holds.

    :raises ConfigError: a line has no colon; the line itself is not told.
    """
    hashes = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        user, colon, stored = line.partition(b":")
        if not colon:
            raise ConfigError(f"{path}: line {number} has no colon: user:hash is right")
        # Nobody can log in under a name that is not text.
        hashes[user.decode("utf-8", "surrogateescape")] = stored
    return Table(hashes)


class TableFile:
    """A password file, as of now.

    What a bad edit leaves is the table of before.

    :param path: of the file.
    :param create: called with the path when the file is not there and never was.
    """

    def __init__(self, path: str, create: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._create = create
        self._table: Table | None = None
        self._look = FileLook(path)
        self._signature: tuple[int, ...] = ()
        self._settled = False
        self._lock = threading.Lock()

    def get(self, *, anew: bool = False) -> Table:
        """Return the table; the same object as long as nothing changes.

        :param anew: look for changes now in any case.
        """
        (signature,) = self._look.take(anew=anew)
        if signature != self._signature or not self._settled:
            with self._lock:
                if signature != self._signature or not self._settled:
                    self._load(signature)
        return self._table or _NOBODY

    def read(self) -> Table:
        """Return what the file says, whatever was read before.

        :raises ConfigError: a line is wrong, or the file cannot be read.
        """
        try:
            with open(self.path, "rb") as stream:
                content = stream.read()
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror or error}") from None
        return parse_table(content, self.path)

    def _load(self, signature: tuple[int, ...]) -> None:
        """Take what the file says, or say once that it is wrong."""
        started = time.time_ns()
        told = signature == self._signature
        try:
            if self._create and signature == _MISSING and self._table is None:
                self._create(self.path)
            table = self.read()
        except ConfigError as error:
            self._complain(str(error), told=told)
        else:
            if table != self._table:
                self._table = table
        self._signature = signature
        self._settled = signature[0] < started - _FRESH

    def _complain(self, sentence: str, *, told: bool) -> None:
        if not told:
            rest = "nobody can log in until it is mended"
            if self._table is not None:
                rest = "what it said before still holds"
            _log.error("%s; %s", sentence, rest)


_NOBODY = Table()
_MISSING = (0, errno.ENOENT)
