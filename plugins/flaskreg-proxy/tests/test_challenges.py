"""What servers write into ``WWW-Authenticate``."""

from __future__ import annotations

import pytest
from flaskreg_proxy.challenges import Challenge
from flaskreg_proxy.challenges import parse_challenges


HUB = (
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
    'scope="repository:library/debian:pull,push"'
)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [Challenge("basic")]),
        (['Basic realm="a b"'], [Challenge("basic", {"realm": "a b"})]),
        (['bAsIc REALM="A"'], [Challenge("basic", {"realm": "A"})]),
        (["Basic realm=plain"], [Challenge("basic", {"realm": "plain"})]),
        (['Basic realm = "a"'], [Challenge("basic", {"realm": "a"})]),
        (['Basic realm="a\\"b\\\\"'], [Challenge("basic", {"realm": 'a"b\\'})]),
        (['Basic realm="a", realm="b"'], [Challenge("basic", {"realm": "a"})]),
        (
            [HUB],
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:library/debian:pull,push",
                    },
                )
            ],
        ),
        (
            ["Bearer realm=https://a/t,service=b"],
            [Challenge("bearer", {"realm": "https://a/t", "service": "b"})],
        ),
        (
            ['Negotiate abc==, Basic realm="a, Bearer b=c", Bearer realm="d"'],
            [
                Challenge("negotiate"),
                Challenge("basic", {"realm": "a, Bearer b=c"}),
                Challenge("bearer", {"realm": "d"}),
            ],
        ),
        (
            ['Basic realm="a",, , Bearer realm="d" , service=""'],
            [
                Challenge("basic", {"realm": "a"}),
                Challenge("bearer", {"realm": "d", "service": ""}),
            ],
        ),
        (
            ['Basic realm="a"', 'Bearer realm="b"'],
            [Challenge("basic", {"realm": "a"}), Challenge("bearer", {"realm": "b"})],
        ),
        (['realm="a"'], []),
        (['Basic realm="a'], [Challenge("basic")]),
        (["\x00"], []),
    ],
)
def test_challenges(headers: list[str], expected: list[Challenge]) -> None:
    assert parse_challenges(headers) == expected


def test_a_long_header_takes_no_time() -> None:
    """What is beyond the first part of it is not looked at."""
    for text in ("Basic " + "a" * 100_000, 'x="' + "\\" * 100_000, ", " * 100_000):
        parse_challenges([text])
