"""The forms of a line: what each field is, whatever text is in it."""

from __future__ import annotations

import json
import logging
import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from flaskreg.logs.formatters import FORMATTERS
from flaskreg.logs.formatters import JsonFormatter
from flaskreg.logs.formatters import LineFormatter
from flaskreg.logs.formatters import TextFormatter
from flaskreg.logs.formatters import uri_of
from flaskreg.observer import CURRENT
from flaskreg.observer import Exchange

from .samples import exchange


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

#: the member that holds the sentence, by the name of the form.
SENTENCE = {"text": "msg", "json": "msg", "logstash": "message"}
CLOCK = {"text": "time", "json": "time", "logstash": "@timestamp"}

NASTY = (
    "plain",
    "two words",
    'a "quote"',
    "a\nline break",
    "back\\slash",
    "tab\tbell\x07",
    "größe ☃",
    "",
    "a=b",
)


def record(message: str = "it happened", level: int = logging.INFO) -> Any:
    """Return a record of the log."""
    return logging.LogRecord("flaskreg", level, "/f.py", 7, message, None, None, "fun")


def parsed(form: str, line: str) -> dict[str, Any]:
    """Return the members of a line."""
    if form != "text":
        found: dict[str, Any] = json.loads(line)
        return found
    pairs = re.findall(r'([\w.@]+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {k: json.loads(v) if v.startswith('"') else v for k, v in pairs}


@pytest.fixture
def current() -> Iterator[Exchange]:
    """A request that is being answered."""
    found = exchange()
    token = CURRENT.set(found)
    yield found
    CURRENT.reset(token)


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("form", FORMATTERS)
def test_a_line_is_one_line_that_says_what_was_said(form: str, text: str) -> None:
    """Sentence and fields are read back from it, whatever is in them."""
    line = FORMATTERS[form]({"note": text}).format(record(text))
    assert "\n" not in line
    members = parsed(form, line)
    assert members[SENTENCE[form]] == text
    assert members["note"] == text
    assert members["level"] == "info"
    assert TIME.fullmatch(members[CLOCK[form]])


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warning"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "fatal"),
    ],
)
@pytest.mark.parametrize("form", FORMATTERS)
def test_levels_have_the_names_of_logrus(form: str, level: int, name: str) -> None:
    line = FORMATTERS[form]({}).format(record(level=level))
    assert parsed(form, line)["level"] == name


def test_logstash_has_its_own_members() -> None:
    members = json.loads(FORMATTERS["logstash"]({}).format(record()))
    assert members["@version"] == "1"
    assert members["type"] == "flaskreg"


@pytest.mark.parametrize("form", FORMATTERS)
def test_the_caller_is_added_on_demand(form: str) -> None:
    with_caller = parsed(form, FORMATTERS[form]({}, caller=True).format(record()))
    assert with_caller["file"] == "/f.py:7"
    assert with_caller["func"] == "f.fun"
    assert "file" not in parsed(form, FORMATTERS[form]({}).format(record()))


@pytest.mark.parametrize("form", FORMATTERS)
def test_a_line_names_the_request_that_it_belongs_to(
    form: str, current: Exchange
) -> None:
    """By distribution's names; outside of a request there are none."""
    members = parsed(form, FORMATTERS[form]({}).format(record()))
    assert members["http.request.id"] == current.id
    assert members["http.request.method"] == "GET"
    assert members["http.request.uri"] == "/v2/a/b/manifests/t?x=1"
    assert members["http.request.remoteaddr"] == "192.0.2.7"
    assert members["auth.user.name"] == "alice"
    assert members["vars.name"] == "a/b"
    assert members["vars.reference"] == "t"
    CURRENT.set(None)
    assert "http.request" not in FORMATTERS[form]({}).format(record())


@pytest.mark.parametrize("formatter", [TextFormatter({}), JsonFormatter({})])
def test_a_traceback_is_kept(formatter: LineFormatter) -> None:
    try:
        raise LookupError("the cause")
    except LookupError:
        found = record()
        found.exc_info = sys.exc_info()
    assert "LookupError: the cause" in formatter.format(found)


def test_text_is_what_shells_and_logfmt_readers_split() -> None:
    line = TextFormatter({"a": "b c", "n": 5}).format(record())
    words = shlex.split(line)
    assert "a=b c" in words
    assert "n=5" in words
    assert "level=info" in words


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("/v2/a/blobs/uploads/1?_state=secret", "/v2/a/blobs/uploads/1?_state=..."),
        ("/v2/?_state=s&digest=d", "/v2/?_state=...&digest=d"),
        ("/v2/a/tags/list?n=1", "/v2/a/tags/list?n=1"),
    ],
)
def test_the_state_of_an_upload_is_in_no_log(sent: str, written: str) -> None:
    assert uri_of({"RAW_URI": sent}) == written
