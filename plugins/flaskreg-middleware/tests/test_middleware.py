"""The middleware one by one, in their order, and as a distribution."""

from __future__ import annotations

import pytest
from flaskreg_middleware import flaskreg_register_storage_middleware
from flaskreg_middleware.accel import wrap_accel
from flaskreg_middleware.redirect import wrap_redirect
from flaskreg_middleware.rewrite import wrap_rewrite

from flaskreg import create_app
from flaskreg.config import ConfigError
from flaskreg.config import load_settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driverwrapper import DriverWrapper
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.testing import DriverTests
from flaskreg.testing import PluginTests


PATH = "/docker/registry/v2/blobs/sha256/ab/abcd/data"
GET = ContentRequest("GET", client="192.0.2.1", peer="127.0.0.1")
HEAD = ContentRequest("HEAD", client="192.0.2.1", peer="127.0.0.1")

VALID = {
    "redirect": {"baseurl": "https://cdn.example.org/blobs"},
    "rewrite": {},
    "accel": {"prefix": "/internal"},
}


class Presigning(DriverWrapper):
    """A driver with URLs of its own, as an object store has."""

    asked = 0

    def hand_over(self, path, request):
        """Return a URL with a query that is signed."""
        self.asked += 1
        if not request.redirects:
            return None
        return Handover(
            f"http://bucket:9000/b/root{path}?X-Sig=a%2Fb&m={request.method}"
        )


@pytest.fixture
def driver():
    """Return a driver that sends clients to a bucket."""
    return Presigning(InMemoryDriver())


class TestMiddlewarePlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "middleware"
    distribution = "flaskreg-middleware"
    parameters = (
        "baseurl",
        "scheme",
        "host",
        "trimpathprefix",
        "header",
        "prefix",
        "proxies",
    )

    def valid_parameters(self, name):
        """Return the options that have to be there."""
        return VALID[name]


@pytest.mark.parametrize("middleware", ["rewrite", "accel"])
class TestWrapped(DriverTests):
    """Whatever is around a driver, it does what a driver does."""

    shared_between_processes = False

    @pytest.fixture
    def make_driver(self, middleware):
        """Return a callable that wraps a driver without URLs of its own."""
        wrap = flaskreg_register_storage_middleware()[middleware]
        return lambda: wrap(InMemoryDriver(), VALID[middleware])


class TestRedirected(DriverTests):
    """The same for the one that always has a URL."""

    shared_between_processes = False

    @pytest.fixture
    def make_driver(self):
        """Return a callable that wraps a driver without URLs of its own."""
        return lambda: wrap_redirect(InMemoryDriver(), VALID["redirect"])

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_redirect(self, driver, method):
        """Nobody answers there in this suite."""
        url = driver.redirect("/tests/file", method)
        assert url == "https://cdn.example.org/blobs/tests/file"


# redirect


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://cdn.example.org", f"https://cdn.example.org{PATH}"),
        ("http://cdn.example.org:8080/", f"http://cdn.example.org:8080{PATH}"),
        ("https://cdn.example.org/a/b/", f"https://cdn.example.org/a/b{PATH}"),
        ("https://[2001:db8::1]/a", f"https://[2001:db8::1]/a{PATH}"),
    ],
)
def test_redirect(driver, base, url):
    """To the path of the storage below the base, for each method."""
    wrapped = wrap_redirect(driver, {"baseurl": base})
    for request in (GET, HEAD):
        assert wrapped.hand_over(PATH, request) == Handover(url)
    assert wrapped.redirect(PATH, "GET") == url
    assert driver.asked == 0


def test_redirect_is_switched_off_with_all_redirects(driver):
    """``storage.redirect.disable`` holds for it too."""
    wrapped = wrap_redirect(driver, {"baseurl": "https://cdn.example.org"})
    assert wrapped.hand_over(PATH, ContentRequest("GET", redirects=False)) is None


# rewrite


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, f"http://bucket:9000/b/root{PATH}?X-Sig=a%2Fb&m=GET"),
        ({"scheme": "https"}, f"https://bucket:9000/b/root{PATH}?X-Sig=a%2Fb&m=GET"),
        ({"host": "cdn:1"}, f"http://cdn:1/b/root{PATH}?X-Sig=a%2Fb&m=GET"),
        ({"host": "[::1]:1"}, f"http://[::1]:1/b/root{PATH}?X-Sig=a%2Fb&m=GET"),
        ({"trimpathprefix": "/b"}, f"http://bucket:9000/root{PATH}?X-Sig=a%2Fb&m=GET"),
        (
            {"trimpathprefix": "/other"},
            f"http://bucket:9000/b/root{PATH}?X-Sig=a%2Fb&m=GET",
        ),
        (
            {"scheme": "https", "host": "cdn", "trimpathprefix": "/b/root"},
            f"https://cdn{PATH}?X-Sig=a%2Fb&m=GET",
        ),
    ],
)
def test_rewrite(driver, options, url):
    """Parts of the URL change, and nothing else of it."""
    assert wrap_rewrite(driver, options).hand_over(PATH, GET) == Handover(url)


def test_rewrite_of_no_url_is_no_url():
    """A driver without URLs does not get half of one."""
    wrapped = wrap_rewrite(InMemoryDriver(), {"scheme": "https", "host": "cdn"})
    assert wrapped.hand_over(PATH, GET) is None
    assert wrapped.redirect(PATH, "GET") is None


# accel


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"prefix": "/internal"}, ("X-Accel-Redirect", f"/internal{PATH}")),
        ({"prefix": "/internal/"}, ("X-Accel-Redirect", f"/internal{PATH}")),
        (
            {"header": "X-Sendfile", "prefix": "/var/lib/registry"},
            ("X-Sendfile", f"/var/lib/registry{PATH}"),
        ),
    ],
)
def test_accel(driver, options, header):
    """The header names the file, also where clients are not to be sent away."""
    wrapped = wrap_accel(driver, options)
    for redirects in (True, False):
        request = ContentRequest("GET", peer="127.0.0.1", redirects=redirects)
        assert wrapped.hand_over(PATH, request) == Handover(headers=(header,))
    assert wrapped.hand_over(PATH, HEAD) is None
    assert driver.asked == 0


@pytest.mark.parametrize(
    ("proxies", "known", "strange"),
    [
        (None, ["127.0.0.1", "127.1.2.3", "::1", ""], ["192.0.2.1", "2001:db8::1"]),
        (["192.0.2.0/24"], ["192.0.2.7"], ["127.0.0.1", "", "192.0.3.1"]),
        (["unix"], [""], ["127.0.0.1"]),
        ([], [], ["127.0.0.1", ""]),
    ],
)
def test_who_is_not_the_server_before_us_gets_the_content(
    driver, proxies, known, strange
):
    """From whoever stands behind it: here, the bucket."""
    options = {"prefix": "/internal"}
    wrapped = wrap_accel(
        driver, options if proxies is None else {**options, "proxies": proxies}
    )
    for peer in known:
        assert wrapped.hand_over(PATH, ContentRequest("GET", peer=peer)).headers
    for peer in strange:
        assert wrapped.hand_over(PATH, ContentRequest("GET", peer=peer)).url


# Order, and what is wrong


def load(tmp_path, entries):
    """Return the settings of a file with these entries."""
    file = tmp_path / "config.yml"
    file.write_text(
        "version: 0.1\nstorage: inmemory\n"
        f"middleware: {{storage: [{', '.join(entries)}]}}\n"
    )
    return load_settings(str(file), environ={})


REDIRECT = "{name: redirect, options: {baseurl: 'http://one/a'}}"
REWRITE = "{name: rewrite, options: {host: two, trimpathprefix: /a}}"


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ([REDIRECT], f"http://one/a{PATH}"),
        ([REDIRECT, REWRITE], f"http://two{PATH}"),
        ([REWRITE, REDIRECT], f"http://one/a{PATH}"),
        ([REWRITE], None),
        (
            [REDIRECT, "{name: rewrite, disabled: true, options: {host: x}}"],
            f"http://one/a{PATH}",
        ),
    ],
)
def test_the_order_is_that_of_the_configuration(tmp_path, entries, url):
    """The first is the innermost; what is disabled is not there."""
    app = create_app(load(tmp_path, entries))
    assert app.driver.redirect(PATH, "GET") == url


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("redirect", {}, "middleware.storage[redirect].options.baseurl"),
        ("redirect", {"baseurl": "cdn"}, "scheme://host"),
        ("redirect", {"baseurl": "ftp://cdn"}, "scheme://host"),
        ("redirect", {"baseurl": "http:///path"}, "scheme://host"),
        ("redirect", {"baseurl": "http://a/?b"}, "scheme://host"),
        ("redirect", {"baseurl": "http://a:x"}, "scheme://host"),
        ("redirect", {"baseurl": "http://a\r\nX: b"}, "baseurl"),
        ("redirect", {"baseurl": 5}, "baseurl"),
        ("redirect", {"base": "http://a"}, "did you mean"),
        ("rewrite", {"scheme": "a b"}, "scheme"),
        ("rewrite", {"host": "a/b"}, "host"),
        ("rewrite", {"host": "user@a"}, "host"),
        ("rewrite", {"trimpathprefix": 5}, "trimpathprefix"),
        ("accel", {}, "prefix"),
        ("accel", {"prefix": "internal"}, "prefix"),
        ("accel", {"prefix": "/a\r\nb"}, "prefix"),
        ("accel", {"prefix": "/a", "header": "X: Y"}, "header"),
        ("accel", {"prefix": "/a", "proxies": "::1"}, "proxies"),
        ("accel", {"prefix": "/a", "proxies": ["somewhere"]}, "proxies"),
    ],
)
def test_wrong_options_are_named(name, options, named):
    """In one line."""
    wrap = flaskreg_register_storage_middleware()[name]
    with pytest.raises(ConfigError) as caught:
        wrap(InMemoryDriver(), options)
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
