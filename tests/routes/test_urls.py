"""URLs that clients are told, and whom to believe about them."""

from __future__ import annotations

from typing import Any

import pytest

from flaskreg.routes.urls import TrustedProxies
from flaskreg.routes.urls import Urls


def urls(**options: Any) -> Urls:
    """Return a maker of URLs; proxies are a list."""
    proxies = TrustedProxies(options.pop("proxies", []))
    defaults: dict[str, Any] = {"host": "", "relative": False, "prefix": "/"}
    return Urls(**{**defaults, **options, "proxies": proxies})


def environ(**members: str) -> dict[str, Any]:
    """Return the environ of a request."""
    return {
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "registry.example:5000",
        "SERVER_NAME": "localhost",
        "REMOTE_ADDR": "192.0.2.7",
        **members,
    }


@pytest.mark.parametrize(
    ("proxies", "address", "expected"),
    [
        ([], "127.0.0.1", False),
        ([], "", False),
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["10.0.0.0/8"], "10.255.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.1.2.3/8"], "10.9.9.9", True),
        (["::1"], "::1", True),
        (["fd00::/8"], "fd12::1", True),
        (["fd00::/8"], "10.0.0.1", False),
        (["0.0.0.0/0"], "::1", False),
        (["unix"], "", True),
        (["unix"], "127.0.0.1", False),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8", "unix"], "", True),
        (["10.0.0.0/8"], "nonsense", False),
        (["unix"], "nonsense", False),
    ],
)
def test_trusted_proxies(proxies: list[str], address: str, expected: bool) -> None:
    """Addresses, networks, and whoever calls over a unix socket; else nobody."""
    assert (address in TrustedProxies(proxies)) == expected


@pytest.mark.parametrize(
    ("options", "members", "expected"),
    [
        ({}, {}, "http://registry.example:5000/v2/a"),
        ({}, {"wsgi.url_scheme": "https"}, "https://registry.example:5000/v2/a"),
        ({}, {"SCRIPT_NAME": "/mounted"}, "http://registry.example:5000/mounted/v2/a"),
        ({"prefix": "/p/q/"}, {}, "http://registry.example:5000/p/q/v2/a"),
        ({"relative": True}, {}, "/v2/a"),
        (
            {"relative": True, "prefix": "/p/"},
            {"SCRIPT_NAME": "/mounted"},
            "/mounted/p/v2/a",
        ),
        ({"host": "https://r.example"}, {}, "https://r.example/v2/a"),
        ({"host": "https://r.example/"}, {}, "https://r.example/v2/a"),
        ({"host": "https://r.example/p/"}, {}, "https://r.example/p/v2/a"),
        ({"host": "https://r.example", "relative": True}, {}, "https://r.example/v2/a"),
    ],
)
def test_locations(
    options: dict[str, Any], members: dict[str, str], expected: str
) -> None:
    """As the configuration wants them, prefixes kept."""
    assert urls(**options).location(environ(**members), "a") == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"HTTP_X_FORWARDED_PROTO": "https"}, "https://registry.example:5000"),
        ({"HTTP_X_FORWARDED_PROTO": "https, http"}, "https://registry.example:5000"),
        ({"HTTP_X_FORWARDED_HOST": "a.example"}, "http://a.example"),
        ({"HTTP_X_FORWARDED_HOST": " a.example , b"}, "http://a.example"),
        ({"HTTP_X_FORWARDED_HOST": ""}, "http://registry.example:5000"),
        ({"HTTP_X_FORWARDED_PROTO": " "}, "http://registry.example:5000"),
        ({"HTTP_FORWARDED": "proto=https;host=a.example"}, "https://a.example"),
        ({"HTTP_FORWARDED": 'for=x;host="a.example:1"'}, "http://a.example:1"),
        ({"HTTP_FORWARDED": "proto=https, host=b"}, "https://registry.example:5000"),
        (
            {"HTTP_FORWARDED": "proto=https", "HTTP_X_FORWARDED_HOST": "b"},
            "https://registry.example:5000",
        ),
        ({"HTTP_FORWARDED": "nonsense"}, "http://registry.example:5000"),
        ({}, "http://registry.example:5000"),
    ],
)
def test_forwarded_headers(members: dict[str, str], expected: str) -> None:
    """A trusted proxy is believed, an untrusted one is as if it had said nothing."""
    trusting = urls(proxies=["192.0.2.0/24"])
    assert trusting.location(environ(**members), "a") == f"{expected}/v2/a"
    for each in (urls(), urls(proxies=["198.51.100.0/24"])):
        location = each.location(environ(**members), "a")
        assert location == "http://registry.example:5000/v2/a"
    assert urls(proxies=["192.0.2.0/24"], relative=True).location(
        environ(**members), "a"
    ) == ("/v2/a")


def test_what_stands_in_urls() -> None:
    """Digests as they are, states encoded."""
    made = urls(relative=True)
    assert made.blob({}, "a/b", "sha256:x") == "/v2/a/b/blobs/sha256:x"
    assert made.manifest({}, "a/b", "sha256:x") == "/v2/a/b/manifests/sha256:x"
    assert made.upload({}, "a", "id", "A_-=&/") == (
        "/v2/a/blobs/uploads/id?_state=A_-%3D%26%2F"
    )


@pytest.mark.parametrize(
    ("proxies", "members", "expected"),
    [
        ([], {}, "192.0.2.7"),
        ([], {"HTTP_X_FORWARDED_FOR": "10.0.0.1"}, "192.0.2.7"),
        (["192.0.2.0/24"], {"HTTP_X_FORWARDED_FOR": "10.0.0.1, 10.0.0.2"}, "10.0.0.1"),
        (["192.0.2.0/24"], {"HTTP_X_REAL_IP": "10.0.0.9"}, "10.0.0.9"),
        (["192.0.2.0/24"], {"HTTP_X_FORWARDED_FOR": "a host"}, "192.0.2.7"),
        (["192.0.2.0/24"], {}, "192.0.2.7"),
        (["unix"], {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "::1"}, "::1"),
    ],
)
def test_the_client_is_told_by_trusted_proxies_alone(
    proxies: list[str], members: dict[str, str], expected: str
) -> None:
    """Nobody else chooses the address that stands in logs and events."""
    assert urls(proxies=proxies).client(environ(**members)) == expected
