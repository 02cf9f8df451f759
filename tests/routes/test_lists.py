"""The catalog and tag lists: order, pages, limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from builders import Client
from builders import image
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import refused
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg import hookimpl
from flaskreg.app import RegistryApp
from flaskreg.defaults.open_access import OpenAccess


MakeApp = Callable[..., RegistryApp]

NAMES = [
    "a",
    "a-b",
    "a-b/c",
    "a.b",
    "a/b",
    "a/b/c",
    "a0",
    "b/_".rstrip("/_"),
    "z/y/x/w",
]


def walk(client: Client, url: str, member: str) -> list[list[str]]:
    """Return the pages of a list, following its links."""
    pages = []
    while url:
        response = client.get(url)
        assert response.status_code == 200
        pages.append(json.loads(response.data)[member])
        url = response.headers.get("Link", "").partition(">")[0].removeprefix("<")
        assert len(pages) < 50
    return pages


@pytest.fixture
def named(client: Client) -> Client:
    """Return a client of a registry with some repositories."""
    for name in reversed(NAMES):
        push_image(client, name, "t")
    return client


@pytest.mark.parametrize("n", [1, 2, 3, len(NAMES), 100])
def test_catalog(named: Client, n: int) -> None:
    """Each repository comes once, in byte order, whatever the page."""
    pages = walk(named, f"/v2/_catalog?n={n}", "repositories")
    assert [name for page in pages for name in page] == sorted(NAMES)
    assert all(len(page) == n for page in pages[:-1])
    assert pages[-1]


def test_catalog_without_n(named: Client) -> None:
    """It has a page of its own length, and all fits."""
    assert walk(named, "/v2/_catalog", "repositories") == [sorted(NAMES)]


@given(last=st.text("ab/-.0z", max_size=6))
@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_catalog_goes_on_anywhere(named: Client, last: str) -> None:
    """``last`` is exclusive and need not be a name."""
    response = named.get("/v2/_catalog", query_string={"n": "100", "last": last})
    found = json.loads(response.data)["repositories"]
    assert found == [name for name in sorted(NAMES) if name > last]


def test_repository_without_manifests_is_not_listed(client: Client) -> None:
    """A repository is part of the catalog when it had a manifest."""
    push_blob(client, "only/blobs", b"x")
    assert json.loads(client.get("/v2/_catalog").data) == {"repositories": []}
    assert json.loads(client.get("/v2/only/blobs/tags/list").data) == {
        "name": "only/blobs",
        "tags": [],
    }


@pytest.mark.parametrize("path", ["/v2/_catalog", "/v2/a/tags/list"])
@pytest.mark.parametrize("n", ["x", "-1", "1.5", "0x1", " ", "٣", "1" * 4000])
def test_invalid_n(client: Client, path: str, n: str) -> None:
    """What is no number from 0 is refused at once, however long it is."""
    push_image(client, "a", "t")
    response = client.get(path, query_string={"n": n})
    refused(response, 400, "PAGINATION_NUMBER_INVALID")


def test_n_of_0(named: Client) -> None:
    """An empty list without a link."""
    for path, member in (("_catalog", "repositories"), ("a/tags/list", "tags")):
        response = named.get(f"/v2/{path}?n=0")
        assert json.loads(response.data)[member] == []
        assert "Link" not in response.headers


def test_n_beyond_the_limit(make_app: MakeApp) -> None:
    """The catalog refuses it and a tag list gives what it may, as in distribution."""
    client = Client(make_app(catalog={"maxentries": 5}, tags={"maxtags": 2}))
    push_image(client, "a", "one")
    for tag in ("two", "three"):
        push_manifest(client, "a", image(layers=[b"layer"]), tag)
    refused(client.get("/v2/_catalog?n=6"), 400, "PAGINATION_NUMBER_INVALID")
    response = client.get("/v2/a/tags/list?n=1000")
    assert json.loads(response.data)["tags"] == ["one", "three"]
    assert response.headers["Link"] == ('</v2/a/tags/list?last=three&n=2>; rel="next"')


@pytest.mark.parametrize("n", [1, 2, 7])
def test_tags(client: Client, n: int) -> None:
    """Each tag comes once, in byte order; without a page all of them come."""
    push_image(client, "a")
    tags = ["1", "10", "9", "A", "Z", "_a", "a", "a-1", "a.1", "latest"]
    for tag in reversed(tags):
        push_manifest(client, "a", image(layers=[b"layer"]), tag)
    pages = walk(client, f"/v2/a/tags/list?n={n}", "tags")
    assert [tag for page in pages for tag in page] == sorted(tags)
    response = client.get("/v2/a/tags/list")
    assert json.loads(response.data) == {"name": "a", "tags": sorted(tags)}
    response = client.get("/v2/a/tags/list?last=Zz")
    assert json.loads(response.data)["tags"] == [
        tag for tag in sorted(tags) if tag > "Zz"
    ]


def test_tags_of_nothing(client: Client) -> None:
    """A repository that never was is unknown, also beyond a tag."""
    for query in ("", "?last=a", "?n=5"):
        refused(client.get(f"/v2/none/tags/list{query}"), 404, "NAME_UNKNOWN")


def test_a_list_changes_at_once(client: Client, other_client: Client) -> None:
    """A tag that another worker makes or deletes is seen by the next request."""
    push_image(client, "a", "one")
    content = image(layers=[b"layer"])
    for number in range(5):
        push_manifest(other_client, "a", content, f"n{number}")
        tags = json.loads(client.get("/v2/a/tags/list").data)["tags"]
        assert f"n{number}" in tags
        assert other_client.delete(f"/v2/a/manifests/n{number}").status_code == 202
        tags = json.loads(client.get("/v2/a/tags/list").data)["tags"]
        assert tags == ["one"]


def test_catalog_shows_what_may_be_listed(make_app: MakeApp) -> None:
    """A controller leaves names out, and pages are as full as without it."""

    class Some(OpenAccess):
        def may_list(self, headers: Any, name: str) -> bool:
            del headers
            return name.startswith("public/")

    class Plugin:
        @hookimpl
        def flaskreg_make_access_controller(self) -> Some:
            return Some()

    client = Client(make_app((Plugin(),)))
    for number in range(4):
        push_image(client, f"public/{number}", "t")
        push_image(client, f"private/{number}", "t")
    pages = walk(client, "/v2/_catalog?n=3", "repositories")
    assert pages == [["public/0", "public/1", "public/2"], ["public/3"]]


def test_scope(make_app: MakeApp) -> None:
    """A name outside the configured scope is unknown to every endpoint."""
    client = Client(make_app(storage={"scope": ["team/*"]}))
    push_image(client, "team/a", "t")
    for answer in (
        client.get("/v2/other/manifests/t"),
        client.get("/v2/other/tags/list"),
        client.post("/v2/other/blobs/uploads/"),
    ):
        refused(answer, 404, "NAME_UNKNOWN")
    assert json.loads(client.get("/v2/_catalog").data)["repositories"] == ["team/a"]
