"""The state on disk: distribution's ``/scheduler-state.json``, which either may write.

::

    {"<repository>@<digest>": {"Key": "<repository>@<digest>",
                               "ExpiryData": "<RFC 3339>", "EntryType": 0},
     ...}

``EntryType`` is 0 for a blob and 1 for a manifest. ``Size`` and ``LastUse`` are ours:
distribution leaves them out of account, and drops them when it writes the file. Without
``LastUse`` content was last used one lifetime before it expires.
Source: CNCF distribution's ``registry/proxy/scheduler``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any

from flaskreg.digest import parse_digest
from flaskreg.driver import FileInfo
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import RegistryError
from flaskreg.names import parse_name
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.documents import value_of
from flaskreg_proxy.scheduling.table import BLOB
from flaskreg_proxy.scheduling.table import MANIFEST
from flaskreg_proxy.scheduling.table import UNKNOWN
from flaskreg_proxy.scheduling.table import Entry
from flaskreg_proxy.scheduling.table import Key


_log = logging.getLogger("flaskreg.proxy.scheduler")

#: the kinds by distribution's number.
_KINDS = (BLOB, MANIFEST)
#: what distribution keeps content for when nothing is configured, in seconds; it stands
#: for "for ever", which the file cannot say.
_DEFAULT_LIFETIME = 7 * 24 * 3600.0
#: seconds that a clock may be off before the state is written anew for it.
_SLEWED = 5.0
#: a state of more bytes than this is none.
_LARGEST = 1 << 30
_SECONDS = "%Y-%m-%dT%H:%M:%S"

Signature = tuple[int, datetime | None]


class StateFile:
    """Reads and writes the state.

    :param driver: where it is.
    :param clock: turns its times into steady seconds.
    :param lifetime: seconds that content is kept; ``None`` for ever.
    """

    def __init__(
        self, driver: StorageDriver, clock: Clock, lifetime: float | None
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._lifetime = lifetime or _DEFAULT_LIFETIME
        self._signature: Signature | None = None
        #: what the wall clock was ahead of the steady one for the times in the file.
        self._ahead: float | None = None

    def modified(self) -> float | None:
        """Return when it was last written, in seconds since 1970, if that is known."""
        info = self._stat()
        return info.modified.timestamp() if info and info.modified else None

    def is_foreign(self) -> bool:
        """Whether somebody else has written it since this object did."""
        return self._sign() != self._signature

    def is_outdated(self) -> bool:
        """Whether the wall clock was set since the times in the file were written."""
        if self._ahead is None:
            return False
        return abs(self._clock.wall() - self._clock.steady() - self._ahead) > _SLEWED

    def read(self, set_forward: float = 0.0) -> list[tuple[Key, Entry]]:
        """Return the entries, those that were used least recently first.

        A file that is damaged is put aside, and nothing is known then. No entry was
        used later than now: a clock that was set back makes nothing last for ever.

        :param set_forward: seconds by which the clock was set forward since it was
            written.
        """
        signature = self._sign()
        try:
            with self._driver.reader(places.STATE) as reader:
                content = reader.read(_LARGEST)
        except PathNotFound:
            return []
        try:
            document = json.loads(content)
            if not isinstance(document, dict | None):
                raise ValueError("it is not a JSON object")  # noqa: TRY004
        except (ValueError, RecursionError) as error:
            self._put_aside(error)
            return []
        self._signature = signature
        self._ahead = self._clock.wall() - self._clock.steady() - set_forward
        found = list(self._parse(document or {}, set_forward))
        found.sort(key=lambda item: item[1].used)
        return found

    def write(self, items: Iterable[tuple[Key, Entry]]) -> None:
        """Write all entries, all or nothing, and durably."""
        ahead = self._clock.wall() - self._clock.steady()
        lines = (self._format(key, entry, ahead) for key, entry in items)
        content = "{" + ",".join(lines) + "}"
        self._driver.put_content(places.STATE, content.encode())
        self._ahead = ahead
        self._signature = self._sign()

    def _format(self, key: Key, entry: Entry, ahead: float) -> str:
        """Return one entry; the grammars of names and digests need no quoting.

        Entries are written one by one so that other threads get their turn.
        """
        name = f"{key.repository}@{key.digest}"
        used = entry.used + ahead
        return (
            f'"{name}":{{"Key":"{name}","ExpiryData":"{_stamp(used + self._lifetime)}",'
            f'"EntryType":{_KINDS.index(entry.kind)},"Size":{entry.size},'
            f'"LastUse":"{_stamp(used)}"}}'
        )

    def _parse(
        self, document: Mapping[str, Any], set_forward: float
    ) -> Iterator[tuple[Key, Entry]]:
        now = self._clock.steady()
        ahead = self._clock.wall() - now - set_forward
        bad = 0
        for value in document.values():
            try:
                key, entry = self._parse_entry(value)
            except (LookupError, TypeError, ValueError, ArithmeticError, RegistryError):
                bad += 1
                continue
            yield key, Entry(entry.kind, entry.size, min(entry.used - ahead, now))
        if bad:
            _log.warning("%s: %d entries make no sense; left out", places.STATE, bad)

    def _parse_entry(self, value: Any) -> tuple[Key, Entry]:
        if not isinstance(value, dict):
            raise TypeError
        name, _, digest = str(value.get("Key", "")).rpartition("@")
        key = Key(parse_name(name), parse_digest(digest))
        kind = _KINDS[value_of(value, "EntryType", 0) == 1]
        size = max(value_of(value, "Size", UNKNOWN), UNKNOWN)
        last_use = value.get("LastUse")
        if last_use is not None:
            return key, Entry(kind, size, _seconds(last_use))
        return key, Entry(kind, size, _seconds(value["ExpiryData"]) - self._lifetime)

    def _put_aside(self, error: Exception) -> None:
        stamp = datetime.fromtimestamp(self._clock.wall(), UTC)
        aside = f"{places.STATE}.damaged-{stamp.strftime('%Y%m%dT%H%M%S.%f')}"
        _log.warning(
            "%s cannot be read (%s); it is kept as %s, and a new one is begun",
            places.STATE,
            error,
            aside,
        )
        self._driver.move(places.STATE, aside)
        self._signature = None

    def _stat(self) -> FileInfo | None:
        try:
            return self._driver.stat(places.STATE)
        except PathNotFound:
            return None

    def _sign(self) -> Signature | None:
        info = self._stat()
        return (info.size, info.modified) if info else None


def _stamp(seconds: float) -> str:
    """Return a time as Go writes it, in UTC; what is out of its range at the edge."""
    seconds = min(max(seconds, 0.0), 253402300799.0)
    whole, fraction = divmod(round(seconds * 1_000_000), 1_000_000)
    text = datetime.fromtimestamp(whole, UTC).strftime(_SECONDS)
    return f"{text}.{fraction:06d}Z" if fraction else f"{text}Z"


def _seconds(value: object) -> float:
    """Return the seconds since 1970 of a time with its zone.

    :raises ValueError: it is none.
    """
    time = datetime.fromisoformat(str(value))
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return (time - _EPOCH).total_seconds()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
