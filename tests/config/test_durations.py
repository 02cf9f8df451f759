"""Durations are those of Go."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskreg.config.durations import format_duration
from flaskreg.config.durations import parse_duration

from .samples import PATIENT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("10s", 10.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("-2m", -120.0),
        ("+2m", 120.0),
        ("250ms", 0.25),
        ("5us", 0.000005),
        ("5\u00b5s", 0.000005),
        ("5\u03bcs", 0.000005),
        ("7ns", 0.000000007),
        ("168h", 604800.0),
        ("1s1s", 2.0),
    ],
)
def test_go_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "s",
        "1d",
        "1 h",
        "1h ",
        "-",
        ".s",
        "1e3s",
        "1h30",
        "\u0661s",
        "3000000h",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@PATIENT
@given(st.integers(min_value=-(2**50), max_value=2**50))
def test_what_is_printed_is_read_again(nanoseconds: int) -> None:
    seconds = nanoseconds / 1_000_000_000
    assert parse_duration(format_duration(seconds)) == seconds


@PATIENT
@given(st.text())
def test_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_duration(text), float)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (60, "1m"),
        (604800, "168h"),
        (5400.5, "1h30m0.5s"),
        (0.0015, "1.5ms"),
        (0.000002, "2us"),
        (1e-9, "1ns"),
        (-90, "-1m30s"),
    ],
)
def test_the_shortest_form_is_printed(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
