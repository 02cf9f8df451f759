"""Paths: one parser on the raw path, and nothing it refuses reaches the registry."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any
from urllib.parse import quote
from urllib.parse import unquote

import pytest
from builders import Client
from builders import MakeApp
from builders import index
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import send
from builders import start
from builders import tree
from builders import with_digest
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.app import RegistryApp
from flaskreg.config import Settings
from flaskreg.digest import Digest
from flaskreg.errors import NameInvalid
from flaskreg.names import parse_name
from flaskreg.routes.paths import Route
from flaskreg.routes.paths import parse_path
from flaskreg.routes.paths import raw_path
from flaskreg.services import Registry


DIGEST = Digest.of(b"content")
SESSION = "0189f1b0-0000-4000-8000-000000000000"

#: names made of the words of the API.
WORDY = [
    "manifests",
    "blobs",
    "tags/list",
    "a/manifests/b",
    "a/blobs/b",
    "a/blobs/uploads",
    "blobs/uploads/a",
    "a/blobs/uploads/manifests/b",
    "uploads/blobs",
    "referrers/tags/list",
    "list/list",
    "v2/v2",
]


# What a path is


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("name", ["app", "team/app", *WORDY])
@pytest.mark.parametrize(
    ("tail", "endpoint", "reference"),
    [
        ("manifests/latest", "manifest", "latest"),
        (f"manifests/{DIGEST}", "manifest", DIGEST),
        (f"blobs/{DIGEST}", "blob", DIGEST),
        ("blobs/uploads", "uploads", ""),
        (f"blobs/uploads/{SESSION}", "upload", SESSION),
        ("tags/list", "tags", ""),
        (f"referrers/{DIGEST}", "referrers", DIGEST),
        ("manifests/list", "manifest", "list"),
        ("manifests/uploads", "manifest", "uploads"),
    ],
)
def test_endpoints_are_told_from_the_right(
    name: str, tail: str, endpoint: str, reference: str, slash: str
) -> None:
    """With a slash at the end and without one, whatever the name is made of."""
    expected = Route(endpoint, name, reference)
    assert parse_path(f"/v2/{name}/{tail}{slash}") == expected
    assert parse_path(f"/a/b/v2/{name}/{tail}{slash}", "/a/b/") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2", Route("base")),
        ("/v2/", Route("base")),
        ("/v2/_catalog", Route("catalog")),
        ("/v2/_catalog/", Route("catalog")),
        ("/v2/app", None),
        ("/v2/app/manifests", None),
        ("/v2/app/tags", None),
        ("/v2/app/tags/other", None),
        ("/v2/manifests/latest", None),
        ("/v2/tags/list", None),
        ("/v2/a/_catalog", None),
        ("/v2/uploads/blobs", None),
        ("/v1/", None),
        ("/v2x/", None),
        ("//v2/", None),
        ("/", None),
        ("", None),
        ("/other/v2/", None),
        ("/V2/", None),
        ("v2/", None),
    ],
)
def test_what_is_no_endpoint(path: str, expected: Route | None) -> None:
    """Only what the API has is one."""
    assert parse_path(path) == expected


def test_an_upload_of_a_repository_that_is_named_like_one() -> None:
    """``blobs/uploads/X`` is a session as long as a name is left of it."""
    assert parse_path("/v2/blobs/uploads/x") == Route("blob", "blobs/uploads", "x") or (
        parse_path("/v2/blobs/uploads/x") is None
    )
    assert parse_path("/v2/a/blobs/uploads/x") == Route("upload", "a", "x")


@pytest.mark.parametrize(
    "part",
    [
        "a%2Fb",
        "a%2fb",
        "%5C",
        "a%00",
        "%0a",
        "%0d%0aX: y",
        "%7f",
        "%1b",
        "%ff",
        "%c3",
        "%ed%a0%80",
        "%c0%af",
    ],
)
@pytest.mark.parametrize(
    "template",
    ["/v2/{}/manifests/latest", "/v2/a/manifests/{}", "/v2/a/{}/manifests/x"],
)
def test_an_encoded_slash_and_its_like_are_refused(template: str, part: str) -> None:
    """Wherever they stand: no part of a path decodes to a separator or a control."""
    with pytest.raises(NameInvalid):
        parse_path(template.format(part))


def test_other_encoded_characters_are_decoded_once() -> None:
    """Clients may encode the colon of a digest; a twice encoded slash stays a part."""
    assert parse_path(f"/v2/a/blobs/{quote(DIGEST, safe='')}") == (
        Route("blob", "a", DIGEST)
    )
    assert parse_path("/v2/%61/manifests/%6catest") == Route("manifest", "a", "latest")
    assert parse_path("/v2/a%252Fb/manifests/x") == Route("manifest", "a%2Fb", "x")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RAW_URI": "/v2/a%2Fb?n=1", "PATH_INFO": "/v2/a/b"}, "/v2/a%2Fb"),
        ({"REQUEST_URI": "/v2/a%2Fb?n=1", "PATH_INFO": "/v2/a/b"}, "/v2/a%2Fb"),
        ({"RAW_URI": "http://host:80/v2/a?x=http://y"}, "/v2/a"),
        ({"RAW_URI": "http://host"}, "/"),
        ({"RAW_URI": "/mounted/v2/a", "SCRIPT_NAME": "/mounted"}, "/v2/a"),
        ({"RAW_URI": "*"}, "/"),
        ({"PATH_INFO": "/v2/a"}, "/v2/a"),
        ({"PATH_INFO": "/v2/\xc3\xa4"}, "/v2/\xe4"),
        ({"PATH_INFO": "/v2/\xff"}, "/v2/\ufffd"),
        ({}, ""),
    ],
)
def test_the_raw_path(environ: dict[str, object], expected: str) -> None:
    """As it was sent where the server tells it, below where the app is mounted."""
    assert raw_path(environ) == expected


# Over HTTP


class Recording:
    """Notes the names with which a registry is asked."""

    def __init__(self, inner: Registry) -> None:
        self.inner = inner
        self.names: list[str] = []

    def repository(self, name: str) -> Any:
        """Note the name and hand it on."""
        self.names.append(name)
        return self.inner.repository(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Recorder:
    """A plugin that records."""

    @hookimpl(wrapper=True)
    def flaskreg_make_registry(self) -> Generator[None, Registry, Any]:
        """Wrap the registry."""
        return Recording((yield))


@pytest.fixture(scope="module")
def recorded() -> RegistryApp:
    """Return an application in memory that notes the names it is asked for."""
    settings = Settings.model_validate(
        {"storage": {"driver": "inmemory", "delete": {"enabled": True}}}
    )
    app = create_app(settings, [Recorder()])
    push_image(Client(app), "app", "latest")
    return app


_parts = st.one_of(
    st.sampled_from(
        ["app", "a", "manifests", "blobs", "uploads", "tags", "referrers", "list"]
    ),
    st.sampled_from(["latest", DIGEST, SESSION, "_catalog", "_uploads", "v2"]),
    st.sampled_from(
        ["", ".", "..", "%2F", "%2e%2e", "..%2f..", "%00", "%5c", "\\", "A", "%0a"]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6).map(
        lambda text: text.replace("?", "%3f").replace("#", "%23")
    ),
    st.binary(max_size=3).map(quote),
)
_paths = st.lists(_parts, max_size=7).map("/".join)
_methods = st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
)


@settings(max_examples=300, deadline=None)
@given(method=_methods, path=_paths, query=st.sampled_from(["", "?n=1", "?digest=x"]))
@example(method="GET", path="app/../app/manifests/latest", query="")
@example(method="POST", path="app%2Fx/blobs/uploads/", query="")
@example(method="GET", path="/app/manifests/latest", query="")
@example(method="GET", path="/manifests/latest", query="")
@example(method="GET", path="app//manifests/latest", query="")
@example(method="GET", path="app/manifests/latest//", query="")
@example(method="PUT", path="app/blobs/uploads/../../../x/manifests/y", query="")
@example(method="GET", path="a\\b/manifests/latest", query="")
@example(method="GET", path="%ff/manifests/latest", query="")
def test_no_bad_name_reaches_the_registry(
    recorded: RegistryApp, method: str, path: str, query: str
) -> None:
    """Whatever path is sent: parsed names alone, no redirect, an answer in JSON."""
    registry: Any = recorded.site.registry
    registry.names.clear()
    answer = send(recorded, method, f"/v2/{path}{query}", body=b"")
    for name in registry.names:
        assert parse_name(name) == name
    assert not 300 <= answer.code < 400
    assert answer.code != 500
    assert answer.header("Location") is None or answer.code in {201, 202, 204}
    if answer.code >= 400 and method != "HEAD":
        assert answer.codes()
    for path in tree(recorded.driver, "/"):
        assert ".." not in path
    with contextlib.suppress(NameInvalid):
        route = parse_path(f"/v2/{path}")
        if route is not None and route.name and registry.names:
            assert set(registry.names) == {route.name}


@pytest.mark.parametrize("name", WORDY)
def test_every_endpoint_works_for_names_of_its_words(client: Client, name: str) -> None:
    """A repository may be named as it likes."""
    digest = push_image(client, name, "latest")
    blob = push_blob(client, name, b"content")
    base = f"/v2/{name}"
    assert client.get(f"{base}/manifests/latest").status_code == 200
    assert client.get(f"{base}/manifests/{digest}").status_code == 200
    assert client.get(f"{base}/blobs/{blob}").data == b"content"
    assert client.get(f"{base}/tags/list").json == {"name": name, "tags": ["latest"]}
    assert client.get(f"{base}/referrers/{digest}").status_code == 200
    location = start(client, name)
    assert client.get(location).status_code == 204
    assert client.patch(location, data=b"x").status_code == 202
    assert client.delete(location).status_code == 204
    assert client.get("/v2/_catalog").json == {"repositories": [name]}
    assert client.delete(f"{base}/manifests/{digest}").status_code == 202
    assert client.delete(f"{base}/blobs/{blob}").status_code == 202


@pytest.mark.parametrize("slash", ["", "/"])
def test_slashes_at_the_end_make_no_difference(client: Client, slash: str) -> None:
    """With one or without, each endpoint answers itself; nobody is redirected."""
    digest = push_image(client, "app", "latest")
    for path in (
        "/v2",
        "/v2/_catalog",
        "/v2/app/tags/list",
        "/v2/app/manifests/latest",
        f"/v2/app/manifests/{digest}",
        f"/v2/app/blobs/{Digest.of(b'layer')}",
        f"/v2/app/referrers/{digest}",
    ):
        assert client.get(path + slash).status_code == 200, path
    response = client.post(f"/v2/app/blobs/uploads{slash}")
    assert response.status_code == 202
    location, _, query = response.headers["Location"].partition("?")
    url = with_digest(f"{location}{slash}?{query}", Digest.of(b"x"))
    assert client.put(url, data=b"x").status_code == 201
    response = push_manifest(client, "app", index(), f"v1{slash}")
    assert response.status_code == 201


def test_names_of_255_characters(client: Client) -> None:
    """Such a one works, and a longer one is refused by its own error."""
    name = "/".join(["a" * 63] * 4)
    push_image(client, name, "t" * 128)
    assert client.get(f"/v2/{name}/manifests/{'t' * 128}").status_code == 200
    answer = client.get(f"/v2/{name}a/manifests/latest")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["errors"][0]["code"] == "NAME_INVALID"


def test_a_path_is_not_decoded_twice(make_app: MakeApp) -> None:
    """What a proxy decoded once is not decoded again into something else."""
    app = make_app()
    answer = send(app, "GET", "/v2/app%252F..%252Fother/manifests/latest")
    assert (answer.code, answer.codes()) == (400, ["NAME_INVALID"])
    assert unquote("%252F") == "%2F"
