"""The descriptor cache ``sqlite``: one file that all workers of a host share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskreg import hookimpl
from flaskreg.cache import CacheFactory
from flaskreg.cache import DescriptorCache
from flaskreg.config import ConfigError
from flaskreg_sqlite.cache import SqliteCache as SqliteCache


DEFAULT_SIZE = 10000
DEFAULT_TIMEOUT = 0.25

_SIZE = "blobdescriptorsize"
_OPTIONS = "storage.cache.options"


def make_sqlite_cache(parameters: Mapping[str, Any]) -> DescriptorCache:
    """Make the cache from ``storage.cache.options`` and the size beside it.

    :raises ConfigError: a parameter is unknown, missing or wrong.
    """
    for key in parameters.keys() - {"file", "timeout", _SIZE}:
        known = [f"{_OPTIONS}.file", f"{_OPTIONS}.timeout"]
        raise ConfigError.unknown(f"{_OPTIONS}.{key}", known)
    file = parameters.get("file")
    if not isinstance(file, str) or not file or "\0" in file:
        sentence = "the cache sqlite wants the name of its file"
        raise ConfigError.wrong(f"{_OPTIONS}.file", file, sentence)
    timeout = parameters.get("timeout", DEFAULT_TIMEOUT)
    if not _is_number(timeout, int | float) or not 0 < timeout <= 60:
        sentence = "must be seconds, more than 0 and at most 60"
        raise ConfigError.wrong(f"{_OPTIONS}.timeout", timeout, sentence)
    size = parameters.get(_SIZE, DEFAULT_SIZE)
    if not _is_number(size, int):
        sentence = "the cache sqlite wants a whole number"
        raise ConfigError.wrong(f"storage.cache.{_SIZE}", size, sentence)
    return SqliteCache(file, float(timeout), size)


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


@hookimpl
def flaskreg_register_caches() -> Mapping[str, CacheFactory]:
    """Offer the cache under its name."""
    return {"sqlite": make_sqlite_cache}
