"""Etags and ranges, as RFC 9110 and Go's http.ServeContent read them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.digest import Digest
from flaskreg.errors import RangeInvalid
from flaskreg.routes.conditional import MOST_RANGES
from flaskreg.routes.conditional import Span
from flaskreg.routes.conditional import etag_matches
from flaskreg.routes.conditional import parse_ranges
from flaskreg.routes.files import FileBody
from flaskreg.routes.files import MultipartBody


DIGEST = Digest.of(b"content")

_modest = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f'"{DIGEST}"', True),
        (DIGEST, True),
        (f'W/"{DIGEST}"', True),
        (f'"a", "{DIGEST}"', True),
        (f'"a","b" , W/"{DIGEST}" ,', True),
        (f"a, {DIGEST}", True),
        (" * ", True),
        ("", False),
        ('"a"', False),
        (f'"x{DIGEST}"', False),
        (f'"{DIGEST[:-1]}"', False),
        ('"*"', False),
        (f'"a, {DIGEST}"', False),
    ],
)
def test_etags(header: str, expected: bool) -> None:
    """Quoted or bare, weak or strong, one of many; whole and never in part."""
    assert etag_matches(header, DIGEST) == expected


def test_a_long_list_of_etags_is_not_read_to_its_end() -> None:
    """What is beyond some kilobytes is not looked at."""
    assert not etag_matches(f"{'x, ' * 1_000_000}{DIGEST}", DIGEST)


_number = st.integers(0, 40)
_span = st.one_of(
    st.tuples(_number, _number).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    _number.map(lambda number: f"{number}-"),
    _number.map(lambda number: f"-{number}"),
)


def naive(text: str, size: int) -> range | None:
    """Return the positions that one range names; ``None`` when it is malformed."""
    first, _, last = text.partition("-")
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


@_modest
@given(parts=st.lists(_span, min_size=1, max_size=4), size=st.integers(0, 30))
def test_ranges_are_those_that_were_asked_for(parts: list[str], size: int) -> None:
    """In their order; those beyond the end left out; all of it when they are more."""
    wanted = [naive(part, size) for part in parts]
    header = "bytes=" + ",".join(parts)
    satisfied = [span for span in wanted if span]
    if None in wanted or not satisfied:
        with pytest.raises(RangeInvalid) as caught:
            parse_ranges(header, size)
        assert caught.value.headers == {"Content-Range": f"bytes */{size}"}
        return
    spans = parse_ranges(header, size)
    if sum(map(len, satisfied)) > size:
        assert spans == []
    else:
        assert [(span.start, span.stop) for span in spans] == [
            (each.start, each.stop) for each in satisfied
        ]


@_modest
@given(text=st.text("0123456789-,= \tbytes", max_size=30), size=st.integers(0, 1 << 40))
def test_any_text_is_a_range_or_refused(text: str, size: int) -> None:
    """Whatever is read of it is within the content."""
    with contextlib.suppress(RangeInvalid):
        spans = parse_ranges("bytes=" + text, size)
        assert len(spans) <= MOST_RANGES
        for span in spans:
            assert 0 <= span.start < span.stop <= size


def test_a_span() -> None:
    """It knows its length and how it is told."""
    span = Span(5, 8)
    assert span.length == 3
    assert span.content_range(100) == "bytes 5-7/100"


# Bodies of files


@_modest
@given(
    content=st.binary(max_size=40),
    start=st.integers(0, 40),
    length=st.integers(0, 40),
    sizes=st.lists(st.integers(0, 9), max_size=6),
)
def test_a_part_of_a_file_ends_where_it_should(
    content: bytes, start: int, length: int, sizes: Sequence[int]
) -> None:
    """However it is read, no byte beyond the part is given."""
    closed: list[bool] = []
    reader = io.BytesIO(content)
    reader.seek(start)
    body = FileBody(reader, length, lambda: closed.append(True))
    found = b"".join(body.read(size) for size in sizes) + body.read()
    assert found == content[start : start + length]
    assert body.read() == body.read(5) == b""
    body.close()
    body.close()
    assert reader.closed
    assert closed == [True]


@_modest
@given(
    content=st.binary(min_size=1, max_size=60),
    cuts=st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60)), max_size=4),
    step=st.integers(1, 50),
)
def test_a_multipart_body_has_the_length_that_it_says(
    content: bytes, cuts: list[tuple[int, int]], step: int
) -> None:
    """However it is read, and each part is in it."""
    spans = [Span(start, stop) for start, stop in cuts if start < stop <= len(content)]
    closed: list[bool] = []
    reader = io.BytesIO(content)
    body = MultipartBody(
        reader, spans, len(content), "a/b", lambda: closed.append(True)
    )
    found = b"".join(iter(lambda: body.read(step), b""))
    assert len(found) == body.length
    assert found.count(f"--{body.boundary}".encode()) == len(spans) + 1
    for span in spans:
        expected = (
            f"\r\nContent-Range: {span.content_range(len(content))}\r\n\r\n".encode()
            + content[span.start : span.stop]
        )
        assert expected in found
    body.close()
    body.close()
    assert closed == [True]
