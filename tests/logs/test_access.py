"""The lines of the access log."""

from __future__ import annotations

import json
import re

import pytest

from flaskreg.errors import Denied
from flaskreg.logs.access import Sent
from flaskreg.logs.access import access_line

from .samples import environ
from .samples import exchange


#: Apache's combined log format, as analysers of logs read it.
COMBINED = re.compile(
    r"(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<size>\d+) '
    r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"'
)


def test_a_combined_line() -> None:
    line = access_line("combined")(exchange().environ, Sent("200", 12, 0.5))
    match = COMBINED.fullmatch(line)
    assert match is not None
    assert match["host"] == "192.0.2.7"
    assert match["user"] == "alice"
    assert match["request"] == "GET /v2/a/b/manifests/t?x=1 HTTP/1.1"
    assert (match["status"], match["size"]) == ("200", "12")
    assert match["agent"] == "docker/27"
    assert re.fullmatch(r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", match["time"])


@pytest.mark.parametrize(
    "agent", ['a" "b', "a\\", 'x" 200 0 "" "y', "a\rb", "a\x1b[31m", "größe"]
)
@pytest.mark.parametrize("user", ["bob", 'b"ob', "two words", "a\nb"])
def test_no_client_writes_more_than_its_own_fields(agent: str, user: str) -> None:
    """What it sends cannot end a field, or the line."""
    found = exchange(HTTP_USER_AGENT=agent)
    found.principal = user
    line = access_line("combined")(found.environ, Sent("200", 0, 0))
    match = COMBINED.fullmatch(line)
    assert match is not None
    assert match["host"] == "192.0.2.7"
    assert "\n" not in line
    assert "\x1b" not in line


def test_a_request_beside_the_api_has_a_line_too() -> None:
    line = access_line("combined")(environ(RAW_URI="/"), Sent("404", 3, 0))
    match = COMBINED.fullmatch(line)
    assert match is not None
    assert match["user"] == "-"
    members = json.loads(access_line("json")(environ(RAW_URI="/"), Sent("404", 3, 0)))
    assert (members["uri"], members["status"], members["bytes"]) == ("/", 404, 3)


def test_a_json_line_says_what_is_known() -> None:
    found = exchange(CONTENT_LENGTH="5")
    found.cache = "hit"
    members = json.loads(access_line("json")(found.environ, Sent("200", 12, 0.25)))
    assert members.pop("time").endswith("Z")
    assert members == {
        "id": found.id,
        "remote": "192.0.2.7",
        "user": "alice",
        "method": "GET",
        "uri": "/v2/a/b/manifests/t?x=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 12,
        "received": 5,
        "duration": 0.25,
        "useragent": "docker/27",
        "endpoint": "manifest",
        "repository": "a/b",
        "reference": "t",
        "digest": "sha256:" + "0" * 64,
        "cache": "hit",
    }


def test_a_json_line_has_the_code_of_the_error() -> None:
    found = exchange()
    found.error = Denied()
    members = json.loads(access_line("json")(found.environ, Sent("403", 0, 0)))
    assert members["code"] == "DENIED"


@pytest.mark.parametrize("form", ["combined", "json"])
def test_no_credentials_are_written(form: str) -> None:
    found = exchange(
        HTTP_AUTHORIZATION="Basic c2VjcmV0OmNhbmFyeQ==",
        HTTP_COOKIE="canary",
        RAW_URI="/v2/a/b/blobs/uploads/1?_state=canary",
    )
    line = access_line(form)(found.environ, Sent("401", 0, 0))
    assert "canary" not in line
    assert "c2Vj" not in line


def test_a_length_that_is_none_breaks_no_line() -> None:
    found = exchange(CONTENT_LENGTH="many")
    members = json.loads(access_line("json")(found.environ, Sent("400", 0, 0)))
    assert members["received"] == 0
