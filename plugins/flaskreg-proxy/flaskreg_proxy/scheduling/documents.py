"""Small JSON files of the scheduler: read with bounds, and checked before use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid


#: a document that is larger than this many bytes was not written by a scheduler.
LARGEST = 16 << 20

T = TypeVar("T")


def read_document(driver: StorageDriver, path: str) -> Mapping[str, Any] | None:
    """Return a JSON object, or ``None`` when there is none, or none that is valid."""
    try:
        with driver.reader(path) as reader:
            content = reader.read(LARGEST + 1)
        document = json.loads(content) if len(content) <= LARGEST else None
    except (PathNotFound, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def write_document(
    driver: StorageDriver,
    path: str,
    document: Mapping[str, Any],
    *,
    durable: bool = False,
) -> None:
    """Write a JSON object, all or nothing."""
    driver.put_content(path, encode_document(document), durable=durable)


def encode_document(document: Mapping[str, Any]) -> bytes:
    """Return a JSON object as bytes."""
    return json.dumps(document, separators=(",", ":")).encode()


def names_in(driver: StorageDriver, directory: str) -> list[str]:
    """Return the names in a directory in order; none when it does not exist."""
    try:
        return sorted(driver.list(directory))
    except PathNotFound:
        return []


def as_digests(value: object) -> frozenset[Digest]:
    """Return the valid digests of a list."""
    found = set()
    for each in value if isinstance(value, list) else ():
        try:
            found.add(parse_digest(str(each)))
        except DigestInvalid:
            continue
    return frozenset(found)


def value_of(document: Mapping[str, Any], key: str, default: T) -> T:
    """Return a value when it has the type of *default*, and else *default*."""
    value = document.get(key, default)
    if isinstance(value, bool) is not isinstance(default, bool):
        return default
    if isinstance(default, float) and isinstance(value, int):
        return type(default)(value)
    return value if isinstance(value, type(default)) else default
