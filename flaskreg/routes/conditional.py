"""Conditional requests and ranges, for content whose etag is its digest.

Source: RFC 9110, sections 13 and 14; where it leaves a choice, what Go's
``http.ServeContent`` does, since that is what clients of distribution know.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from flaskreg.errors import RangeInvalid


#: ranges of one request that are answered as such; more are answered with all of it.
MOST_RANGES = 64

_SPAN = re.compile(r"([0-9]*)\s*-\s*([0-9]*)")
_ETAG = re.compile(r'(W/)?"([^"]*)"|([^\s,"]+)')


class Span(NamedTuple):
    """A range of bytes: from *start* up to, and without, *stop*."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Return its bytes."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """Return the value of ``Content-Range``."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def etag_matches(header: str, digest: str, *, strong: bool = False) -> bool:
    """Whether a list of etags, quoted or bare, names *digest*.

    :param strong: whether weak ones do not count, as for ``If-Match``.
    """
    if header.strip() == "*":
        return True
    return any(
        digest in (match[2], match[3]) and not (strong and match[1])
        for match in _ETAG.finditer(header[:8192])
    )


def parse_ranges(header: str, size: int) -> list[Span]:
    """Return the ranges that a ``Range`` header asks for.

    :param size: of the content, in bytes.
    :returns: nothing when all of the content is the answer: the unit is unknown, or
        the ranges are many or overlapping so that they add up to more than there is.
    :raises RangeInvalid: no range is within the content, or one is malformed.
    """
    unit, _, listed = header.partition("=")
    if unit.strip().lower() != "bytes" or not listed:
        return []
    parts = [part.strip() for part in listed.split(",")]
    if len(parts) > MOST_RANGES:
        return []
    spans = [
        span for part in parts if part and (span := _parse_span(part, size)) is not None
    ]
    if not spans:
        raise _unsatisfiable(size)
    return spans if sum(span.length for span in spans) <= size else []


def _parse_span(text: str, size: int) -> Span | None:
    match = _SPAN.fullmatch(text)
    if match is None or len(text) > 60 or not (match[1] or match[2]):
        raise _unsatisfiable(size)
    if not match[1]:
        span = Span(max(size - int(match[2]), 0), size)
    else:
        start = int(match[1])
        if match[2] and int(match[2]) < start:
            raise _unsatisfiable(size)
        span = Span(start, min(int(match[2]) + 1, size) if match[2] else size)
    return span if span.start < span.stop else None


def _unsatisfiable(size: int) -> RangeInvalid:
    return RangeInvalid(headers={"Content-Range": f"bytes */{size}"})
