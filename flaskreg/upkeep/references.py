"""What a stored manifest leads to, whatever its type.

Every digest that stands in a descriptor anywhere in the document counts, known type or
not, so that nothing is deleted because a plugin is not installed. Schema 1, which is
read by nothing here, names its layers by ``blobSum``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.storage import paths


#: no manifest is larger than this many bytes.
_LARGEST = 64 << 20

_MEMBERS = ("digest", "blobSum")


class Undecided(Exception):
    """The content is not JSON, so nobody can say what it leads to."""


@dataclass(frozen=True, slots=True)
class References:
    """The digests that a manifest names."""

    #: blobs and manifests.
    listed: tuple[Digest, ...] = ()
    #: the manifest that this one is about.
    subject: Digest | None = None
    #: whether signatures may be kept beside it, as for schema 1.
    signed: bool = False


def read_references(driver: StorageDriver, digest: Digest) -> References:
    """Read what a manifest leads to.

    :param digest: its canonical digest.
    :raises PathNotFound: there is no content.
    :raises Undecided: it is not a JSON object.
    """
    with driver.reader(paths.blob_data(digest)) as reader:
        content = reader.read(_LARGEST + 1)
        while 0 < len(content) <= _LARGEST and (more := reader.read(_LARGEST)):
            content += more
    return parse_references(content)


def parse_references(content: bytes) -> References:
    """Return what the bytes of a manifest lead to.

    :raises Undecided: they are not a JSON object.
    """
    if len(content) > _LARGEST:
        raise Undecided("too large for a manifest")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Undecided(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Undecided("not a JSON object")
    subject = document.pop("subject", None)
    about = next(_iter_digests({"subject": subject}), None) if subject else None
    listed = tuple(dict.fromkeys(_iter_digests(document)))
    return References(listed, about, document.get("schemaVersion") == 1)


def _iter_digests(document: Any) -> Iterator[Digest]:
    todo = [document]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += reversed(value)
        elif isinstance(value, dict):
            for name in _MEMBERS:
                if isinstance(value.get(name), str):
                    with suppress(DigestInvalid):
                        yield parse_digest(value[name])
            todo += reversed(value.values())
