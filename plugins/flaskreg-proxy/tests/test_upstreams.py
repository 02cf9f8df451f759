"""Which upstream a name belongs to: a closed look-up, in the configuration alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flaskreg_proxy.tokens import TokenStore
from flaskreg_proxy.upstreams import Upstreams
from flaskreg_proxy.upstreams import make_upstreams
from flaskreg_proxy.workplace import Workplace

from flaskreg.config.proxy import Proxy
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.errors import Denied
from flaskreg.errors import NameUnknown


HUB = {"prefix": "docker.io", "remoteurl": "https://registry-1.docker.io"}
GHCR = {"prefix": "ghcr.io", "remoteurl": "https://ghcr.io", "host": "ghcr.test"}
LAB = {"prefix": "lab/one", "remoteurl": "http://lab.test:5000"}
LAB_TOO = {"prefix": "lab/one/two", "remoteurl": "http://two.test"}


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def make(*upstreams: dict[str, Any], **proxy: Any) -> Upstreams:
        section = Proxy.model_validate({"upstreams": upstreams, **proxy})
        return make_upstreams(
            section, TokenStore(Workplace(InMemoryDriver(), str(tmp_path)))
        )

    return make


@pytest.mark.parametrize(
    ("name", "namespace", "host", "located"),
    [
        ("app", None, "", "app"),
        ("docker.io/library/debian", None, "", "docker.io/library/debian"),
        ("docker.io/debian", None, "", "docker.io/library/debian"),
        ("docker.io", None, "", "docker.io"),
        ("docker.iox/debian", None, "", "docker.iox/debian"),
        ("library/debian", "docker.io", "", "docker.io/library/debian"),
        ("debian", "docker.io", "", "docker.io/library/debian"),
        ("a/b", "registry-1.docker.io", "", "docker.io/a/b"),
        ("a/b", "index.docker.io", "", "docker.io/a/b"),
        ("a/b", "DOCKER.IO", "", "docker.io/a/b"),
        ("docker.io/a/b", "docker.io", "", "docker.io/a/b"),
        ("app", "ghcr.io", "", "ghcr.io/app"),
        ("app", "lab.test:5000", "", "lab/one/app"),
        ("app", None, "ghcr.test", "ghcr.io/app"),
        ("app", None, "GHCR.test:5000", "ghcr.io/app"),
        ("ghcr.io/app", None, "ghcr.test", "ghcr.io/app"),
        ("app", None, "elsewhere.test", "app"),
        ("app", "", "", "app"),
        ("lab/one/two/x", None, "", "lab/one/two/x"),
    ],
)
def test_what_a_request_means(
    make: Any, name: str, namespace: str | None, host: str, located: str
) -> None:
    assert make(HUB, GHCR, LAB, LAB_TOO).locate(name, namespace, host) == located


@pytest.mark.parametrize(
    "namespace",
    ["quay.io", "169.254.169.254", "lab.test", "http://ghcr.io", "ghcr.io/", "../x"],
)
def test_a_namespace_that_is_not_configured(make: Any, namespace: str) -> None:
    with pytest.raises(NameUnknown):
        make(HUB, GHCR, LAB).locate("app", namespace, "")


def test_the_most_particular_prefix_wins(make: Any) -> None:
    upstreams = make(LAB, LAB_TOO)
    assert upstreams.find("lab/one/two/x").prefix == "lab/one/two"
    assert upstreams.find("lab/one/twox").prefix == "lab/one"
    assert upstreams.find("lab/one") is None
    assert upstreams.find("lab/one/two/x").there("lab/one/two/x") == "x"


def test_a_whole_cache_takes_any_namespace(make: Any) -> None:
    """As distribution does; beside upstreams it is one of them."""
    alone = make(remoteurl="https://registry.example.com")
    assert alone.locate("app", "docker.io", "any.test") == "app"
    assert alone.find("app").there("app") == "app"
    beside = make(GHCR, remoteurl="https://registry.example.com")
    assert beside.locate("app", "registry.example.com", "") == "app"
    with pytest.raises(NameUnknown):
        beside.locate("app", "docker.io", "")
    hub = make(remoteurl="https://registry-1.docker.io")
    assert hub.locate("debian", None, "") == "library/debian"


@pytest.mark.parametrize(("library", "there"), [(True, "library/app"), (False, "app")])
def test_library_can_be_chosen(make: Any, library: bool, there: str) -> None:
    for upstream in (HUB, LAB):
        made = make({**upstream, "library": library})
        name = f"{upstream['prefix']}/app"
        assert made.find(name).there(made.locate(name, None, "")) == there


@pytest.mark.parametrize(
    ("allow", "deny", "name", "passes"),
    [
        ([], [], "a/b", True),
        (["a/*"], [], "a/b", True),
        (["a/*"], [], "b/a", False),
        ([], ["a/*"], "a/b", False),
        (["*"], ["a/*"], "a/b/c", False),
        (["a/*", "c"], ["a/x"], "c", True),
    ],
)
def test_filters(
    make: Any, allow: list[str], deny: list[str], name: str, passes: bool
) -> None:
    upstream = make({**LAB, "allow": allow, "deny": deny}).all[0]
    if passes:
        upstream.check(name)
    else:
        with pytest.raises(Denied):
            upstream.check(name)
