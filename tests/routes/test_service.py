"""What holds for every endpoint: errors, methods, URLs, bodies, limits."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import pytest
from builders import Client
from builders import blob_url
from builders import codes
from builders import image
from builders import manifest_url
from builders import push_blob
from builders import push_image
from builders import refused
from builders import start
from builders import uploads_url
from builders import with_digest
from werkzeug.test import EnvironBuilder

from flaskreg import hookimpl
from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.errors import ManifestTooLarge
from flaskreg.errors import SizeInvalid
from flaskreg.errors import TransferUnsupported
from flaskreg.errors import Unauthorized
from flaskreg.routes.body import Body
from flaskreg.routes.endpoints import ENDPOINTS
from flaskreg.routes.endpoints import WRITES


MakeApp = Callable[..., RegistryApp]

CONTENT = b"content" * 1000
DIGEST = Digest.of(CONTENT)
PATHS = {
    "base": "/v2/",
    "catalog": "/v2/_catalog",
    "tags": "/v2/a/tags/list",
    "referrers": f"/v2/a/referrers/{DIGEST}",
    "manifest": "/v2/a/manifests/t",
    "blob": blob_url("a", DIGEST),
    "uploads": "/v2/a/blobs/uploads/",
    "upload": "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "COPY")


def test_every_endpoint_has_a_path_here() -> None:
    """The tests below see all of them."""
    assert PATHS.keys() == ENDPOINTS.keys()


@pytest.mark.parametrize("endpoint", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_methods(client: Client, endpoint: str, method: str) -> None:
    """A method that an endpoint lacks is 405 with Allow; errors are always JSON."""
    response = client.open(PATHS[endpoint], method=method)
    if method == "OPTIONS":
        assert response.status_code == 200
        allowed = response.headers["Allow"].split(", ")
        assert set(allowed) == {*ENDPOINTS[endpoint], "OPTIONS"}
    elif method not in ENDPOINTS[endpoint]:
        assert response.status_code == 405
        assert "Allow" in response.headers
        if method != "HEAD":
            refused(response, 405, "UNSUPPORTED")
    elif response.status_code >= 400 and method != "HEAD":
        assert codes(response)
    if method not in ("TRACE", "COPY"):
        version = response.headers["Docker-Distribution-Api-Version"]
        assert version == "registry/2.0"


@pytest.mark.parametrize("endpoint", PATHS)
def test_head_is_get_without_the_body(client: Client, endpoint: str) -> None:
    """Status and headers are the same."""
    push_blob(client, "a", CONTENT)
    push_image(client, "a", "t")
    if "GET" in ENDPOINTS[endpoint]:
        get, head = (client.open(PATHS[endpoint], method=m) for m in ("GET", "HEAD"))
        assert (head.status_code, head.data) == (get.status_code, b"")
        assert dict(head.headers) == dict(get.headers)


def test_options_needs_no_credentials(make_app: MakeApp) -> None:
    """A browser asks before it has any; everything else is refused."""
    parameters = {"realm": "r", "service": "s"}
    client = Client(make_app(auth={"controller": "silly", "parameters": parameters}))
    for endpoint, path in PATHS.items():
        assert client.options(path).status_code == 200
        for method in ENDPOINTS[endpoint]:
            response = client.open(path, method=method)
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer realm=")


def test_mount_wants_a_pull_of_its_source(make_app: MakeApp) -> None:
    """The challenge of a mount names both repositories."""
    parameters = {"realm": "r", "service": "s"}
    client = Client(make_app(auth={"controller": "silly", "parameters": parameters}))
    response = client.post(uploads_url("to", **{"mount": DIGEST, "from": "src"}))
    refused(response, 401, "UNAUTHORIZED")
    scope = 'scope="repository:src:pull repository:to:pull,push"'
    assert scope in response.headers["WWW-Authenticate"]
    detail = json.loads(response.data)["errors"][0]["detail"]
    assert {(each["Name"], each["Action"]) for each in detail} == {
        ("to", "pull"), ("to", "push"), ("src", "pull"),
    }  # fmt: skip


def test_read_only(make_app: MakeApp) -> None:
    """Every write is 405, and reads go on."""
    storage = {"maintenance": {"readonly": {"enabled": True}}}
    client = Client(make_app(storage=storage))
    for endpoint, path in PATHS.items():
        for method in WRITES & ENDPOINTS[endpoint].keys():
            response = client.open(path, method=method)
            refused(response, 405, "UNSUPPORTED")
            assert not WRITES & set(response.headers["Allow"].split(", "))
    assert client.get("/v2/_catalog").status_code == 200


def test_alive(make_app: MakeApp) -> None:
    """``/`` answers without credentials; other paths are unknown in JSON."""
    parameters = {"realm": "r", "service": "s"}
    client = Client(make_app(auth={"controller": "silly", "parameters": parameters}))
    response = client.get("/")
    assert (response.status_code, response.data) == (200, b"")
    refused(client.get("/favicon.ico"), 404, "NOT_FOUND")
    refused(client.post("/"), 405, "UNSUPPORTED")


def test_unexpected_errors_tell_nothing(make_app: MakeApp) -> None:
    """The client sees UNKNOWN, and nothing of what happened."""
    app = make_app()

    def broken(name: str) -> Any:
        raise RuntimeError(f"secret of {name}")

    app.site.registry.repository = broken  # type: ignore[method-assign]
    response = Client(app).get("/v2/a/tags/list")
    refused(response, 500, "UNKNOWN")
    assert b"secret" not in response.data


# URLs


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ({}, "/v2/a/blobs/"),
        ({"relativeurls": True}, "/v2/a/blobs/"),
        ({"relativeurls": False}, "http://localhost/v2/a/blobs/"),
        ({"host": "https://r.example:5443"}, "https://r.example:5443/v2/a/blobs/"),
        ({"prefix": "/reg/"}, "/reg/v2/a/blobs/"),
        (
            {"prefix": "/reg/", "relativeurls": False},
            "http://localhost/reg/v2/a/blobs/",
        ),
    ],
)
def test_location(make_app: MakeApp, http: dict[str, Any], expected: str) -> None:
    """Locations are relative unless the configuration says otherwise; prefixes stay."""
    client = Client(make_app(http=http))
    prefix = http.get("prefix", "/").rstrip("/")
    url = prefix + uploads_url("a", digest=DIGEST)
    response = client.post(url, data=CONTENT)
    assert response.headers["Location"] == f"{expected}{DIGEST}"
    location = client.post(prefix + uploads_url("a")).headers["Location"]
    assert location.startswith(f"{expected}uploads/")


FORWARDED = [
    {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example, b"},
    {"Forwarded": 'proto=https;host="evil.example", proto=http;host=b'},
]


@pytest.mark.parametrize("headers", FORWARDED)
def test_forwarded_headers(make_app: MakeApp, headers: dict[str, str]) -> None:
    """They are believed of trusted proxies alone."""
    for trusted, expected in (
        ([], "http://localhost/"),
        (["10.0.0.0/8"], "http://localhost/"),
        (["127.0.0.0/8"], "https://evil.example/"),
    ):
        http = {"relativeurls": False, "trustedproxies": trusted}
        client = Client(make_app(http=http))
        response = client.post(
            uploads_url("a"),
            headers=headers,
            environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
        )
        assert response.headers["Location"].startswith(f"{expected}v2/a/")


def test_mounted_below_a_path(app: RegistryApp) -> None:
    """The path at which a server mounts the application stays in its URLs."""
    builder = EnvironBuilder("/v2/a/blobs/uploads/", "http://h/app/", method="POST")
    environ = builder.get_environ()
    environ["RAW_URI"] = environ["REQUEST_URI"] = "/app/v2/a/blobs/uploads/"
    told: list[Any] = []
    app.wsgi_app(environ, lambda *each: told.append(each))
    assert dict(told[0][1])["Location"].startswith("/app/v2/a/blobs/uploads/")


def test_configured_headers(make_app: MakeApp) -> None:
    """They are on every answer of the API, errors included."""
    client = Client(make_app(http={"headers": {"X-Some": ["one", "two"]}}))
    for path in ("/v2/", "/v2/none/tags/list", "/v2/A/tags/list"):
        assert client.get(path).headers.getlist("X-Some") == ["one", "two"]


def test_ns_is_accepted(client: Client) -> None:
    """A client that takes this for a proxy may say whose content it wants."""
    push_image(client, "a", "t")
    assert client.get("/v2/a/manifests/t?ns=docker.io").status_code == 200


# Bodies


class Lying(io.BytesIO):
    """An input that ends early, as gunicorn's does when a client leaves."""


def body_of(data: bytes, **environ: Any) -> Body:
    """Return the reader of a request's body."""
    return Body({"wsgi.input": Lying(data), "wsgi.input_terminated": True, **environ})


def test_body_of_stated_length() -> None:
    """What is read is what was stated, and no more."""
    assert b"".join(body_of(b"0123456789", CONTENT_LENGTH="4").chunks()) == b"0123"
    assert b"".join(body_of(b"").chunks()) == b""


def test_body_that_ends_early() -> None:
    """What arrived is handed on, and then the end is an error."""
    got = []
    with pytest.raises(SizeInvalid):
        got.extend(body_of(b"0123", CONTENT_LENGTH="10").chunks())
    chunks = body_of(b"0123", CONTENT_LENGTH="10").chunks()
    assert next(chunks) == b"0123"


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 30, "+1"])
def test_length_that_is_none(length: str) -> None:
    """It is refused before anything is read."""
    with pytest.raises(SizeInvalid):
        body_of(b"", CONTENT_LENGTH=length)


def test_chunked_body() -> None:
    """Its end is the server's to tell; a server that does not is not trusted."""
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked"}
    assert b"".join(body_of(b"0123", **chunked).chunks()) == b"0123"
    with pytest.raises(TransferUnsupported):
        Body({"wsgi.input": io.BytesIO(b"0123"), **chunked})


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({"SERVER_PROTOCOL": "HTTP/2.0"}, b"0123"),
        ({"SERVER_PROTOCOL": "HTTP/2.0", "CONTENT_LENGTH": "2"}, b"01"),
        ({"SERVER_PROTOCOL": "HTTP/2.0", "wsgi.input_terminated": False}, b""),
        ({"SERVER_PROTOCOL": "HTTP/1.1"}, b""),
    ],
)
def test_body_without_a_length(told: dict[str, Any], read: bytes) -> None:
    """In HTTP/2 it ends with its stream; in HTTP/1.1 there is none."""
    assert b"".join(body_of(b"0123", **told).chunks()) == read


def test_body_that_breaks_off() -> None:
    """Whatever a server raises from its input is one error here."""

    class Broken(io.BytesIO):
        def read1(self, size: int = -1) -> bytes:
            raise ConnectionResetError(size)

    environ = {"wsgi.input": Broken(), "CONTENT_LENGTH": "5"}
    with pytest.raises(SizeInvalid):
        list(Body(environ).chunks())


def test_bounded_body() -> None:
    """No more than one piece beyond the limit is read."""
    for environ in ({"CONTENT_LENGTH": "11"}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        with pytest.raises(ManifestTooLarge):
            body_of(b"0" * 11, **environ).read_all(10)
        assert body_of(b"0" * 10, HTTP_TRANSFER_ENCODING="c").read_all(10) == b"0" * 10


@pytest.mark.parametrize("kind", ["patch", "put", "post", "manifest"])
def test_truncated_bodies_commit_nothing(app: RegistryApp, kind: str) -> None:
    """A body shorter than its length is 400; a session keeps what arrived."""
    client = Client(app)
    location = start(client, "a")
    push_blob(client, "a", b"{}")
    content = image() if kind == "manifest" else CONTENT
    digest = Digest.of(content)
    url, method = {
        "patch": (location, "PATCH"),
        "put": (with_digest(location, digest), "PUT"),
        "post": (uploads_url("a", digest=digest), "POST"),
        "manifest": (manifest_url("a", "t"), "PUT"),
    }[kind]
    environ = EnvironBuilder(url, method=method).get_environ()
    environ["RAW_URI"] = environ["REQUEST_URI"] = url
    environ["CONTENT_LENGTH"] = str(len(content) + 1)
    environ["CONTENT_TYPE"] = "application/vnd.oci.image.manifest.v1+json"
    environ["wsgi.input"] = Lying(content)
    told: list[Any] = []
    body = b"".join(app.wsgi_app(environ, lambda *each: told.append(each)))
    assert told[0][0].startswith("400")
    assert json.loads(body)["errors"][0]["code"] == "SIZE_INVALID"
    refused(client.get(blob_url("a", digest)), 404, "BLOB_UNKNOWN")
    refused(client.get(manifest_url("a", "t")), 404, "MANIFEST_UNKNOWN")
    if kind in ("patch", "put"):
        answer = client.get(location)
        assert answer.headers["Range"] == f"0-{len(content) - 1}"
        location = answer.headers["Location"]
        assert client.put(with_digest(location, digest)).status_code == 201


# Limits


def test_bulk_limit(make_app: MakeApp) -> None:
    """Bulk transfers never take the reserved threads; small ones are not counted."""
    app = make_app(http={"threads": 3, "reservedthreads": 1})
    client = Client(app)
    large = b"x" * (1 << 20)
    digest = push_blob(client, "a", large)
    push_blob(client, "a", CONTENT)
    held = []
    for _ in range(2):
        environ = EnvironBuilder(blob_url("a", digest)).get_environ()
        held.append(app.wsgi_app(environ, lambda *_: None))
    response = client.get(blob_url("a", digest))
    refused(response, 503, "UNAVAILABLE")
    assert response.headers["Retry-After"] == "1"
    assert client.post(uploads_url("a", digest=digest), data=large).status_code == 503
    for path in ("/v2/", blob_url("a", DIGEST)):
        assert client.get(path).status_code == 200
    assert client.head(blob_url("a", digest)).status_code == 200
    for body in held:
        body.close()  # type: ignore[attr-defined]
    assert client.get(blob_url("a", digest)).data == large


def test_many_parameters(client: Client) -> None:
    """A query of thousands of parameters is refused."""
    response = client.get("/v2/a/tags/list?" + "&".join(["n=1"] * 5000))
    assert response.status_code == 414


# Content of one repository through another


def test_content_stays_in_its_repository(client: Client, other_client: Client) -> None:
    """After a delete in A, a read in B makes nothing readable in A again."""
    for name in ("team/a", "team/b"):
        push_blob(client, name, CONTENT)
    assert client.get(blob_url("team/a", DIGEST)).status_code == 200
    assert other_client.get(blob_url("team/a", DIGEST)).status_code == 200
    assert other_client.delete(blob_url("team/a", DIGEST)).status_code == 202
    for each in (client, other_client):
        assert each.get(blob_url("team/b", DIGEST)).status_code == 200
        for method in (each.get, each.head):
            assert method(blob_url("team/a", DIGEST)).status_code == 404


def test_a_preflight_is_answered_before_credentials_are_asked_for(
    make_app: MakeApp,
) -> None:
    """Browsers send none with it; ``http.headers`` holds what CORS wants."""

    class Plugin:
        @hookimpl
        def flaskreg_make_access_controller(self) -> AccessController:
            class Closed(AccessController):
                def authorize(
                    self, headers: Mapping[str, str], accesses: Sequence[Access]
                ) -> Grant:
                    del headers
                    raise Unauthorized("Basic", [each.name for each in accesses])

            return Closed()

    allowed = {
        "Access-Control-Allow-Origin": ["https://ui.example"],
        "Access-Control-Allow-Methods": ["HEAD", "GET", "OPTIONS", "DELETE"],
        "Access-Control-Allow-Headers": ["Authorization", "Accept"],
    }
    client = Client(make_app((Plugin(),), http={"headers": allowed}))
    asked = {
        "Origin": "https://ui.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    for path in ("/v2/", "/v2/a/manifests/t", "/v2/_catalog", "/v2/a/tags/list"):
        response = client.options(path, headers=asked)
        assert response.status_code == 200
        assert "GET" in response.headers["Allow"]
        refused = client.get(path, headers=asked)
        assert refused.status_code == 401
        for each in (response, refused):
            for name, values in allowed.items():
                assert each.headers.getlist(name) == values
