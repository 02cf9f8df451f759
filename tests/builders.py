"""What tests build: blobs, manifests, indexes, drivers that are watched, requests."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import BinaryIO
from typing import NamedTuple
from urllib.parse import quote
from urllib.parse import unquote_to_bytes
from urllib.parse import urlencode

from werkzeug.test import Client as WerkzeugClient
from werkzeug.test import TestResponse

from flaskreg import hookimpl
from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import StorageDriver
from flaskreg.mediatypes import OCI_CONFIG
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST


MakeApp = Callable[..., RegistryApp]

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

#: the ways to give a digest.
ALGORITHMS = ("sha256", "sha384", "sha512")


# Documents


def descriptor(
    content: bytes, media_type: str = LAYER, algorithm: str = "sha256", **members: Any
) -> dict[str, Any]:
    """Return the descriptor of *content*, as JSON has it."""
    digest = str(Digest.of(content, algorithm))
    return {"mediaType": media_type, "digest": digest, "size": len(content), **members}


def encode(document: Any) -> bytes:
    """Return a document as the bytes of a manifest."""
    return json.dumps(document, separators=(",", ":")).encode()


def image(
    config: bytes = b"{}",
    layers: Sequence[bytes] = (),
    media_type: str = OCI_MANIFEST,
    config_type: str = OCI_CONFIG,
    **members: Any,
) -> bytes:
    """Return an image manifest."""
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor(config, config_type),
            "layers": [descriptor(layer) for layer in layers],
            **members,
        }
    )


def index(
    manifests: Sequence[Mapping[str, Any]] = (),
    media_type: str = OCI_INDEX,
    **members: Any,
) -> bytes:
    """Return an index of descriptors."""
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": list(manifests),
            **members,
        }
    )


# Requests


class Client(WerkzeugClient):
    """A client that reads each answer to its end and closes it, as a server does."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request; nothing is followed."""
        return super().open(*args, **{"buffered": True, **kwargs})


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not in {seconds:g} s: {what}")


def listening(app: RegistryApp) -> int:
    """Return the port of an application's debug server, once it listens."""
    debug = app.background.debug
    assert debug is not None
    port: int = eventually(lambda: debug.port, "the debug server listens")
    return port


def blob_url(name: str, digest: str) -> str:
    """Return the path of a blob."""
    return f"/v2/{name}/blobs/{digest}"


def manifest_url(name: str, reference: str) -> str:
    """Return the path of a manifest."""
    return f"/v2/{name}/manifests/{reference}"


def uploads_url(name: str, **query: str) -> str:
    """Return the path at which a push begins."""
    tail = f"?{urlencode(query)}" if query else ""
    return f"/v2/{name}/blobs/uploads/{tail}"


def with_digest(location: str, digest: str) -> str:
    """Return the URL that closes an upload session."""
    return f"{location}&digest={quote(digest, safe='')}"


def start(client: Client, name: str, **query: str) -> str:
    """Start an upload session and return where it goes on."""
    response = client.post(uploads_url(name, **query))
    assert response.status_code == 202, response.text
    return response.headers["Location"]


def push_blob(
    client: Client, name: str, content: bytes, algorithm: str = "sha256"
) -> Digest:
    """Push a blob, and return its digest."""
    digest = Digest.of(content, algorithm)
    response = client.put(with_digest(start(client, name), digest), data=content)
    assert response.status_code == 201, response.text
    return digest


def push_manifest(
    client: Client,
    name: str,
    content: bytes,
    reference: str | None = None,
    media_type: str | None = None,
    query: str = "",
) -> TestResponse:
    """Push a manifest, by its digest when there is no reference."""
    reference = reference or Digest.of(content)
    media_type = media_type or json.loads(content).get("mediaType", OCI_MANIFEST)
    url = manifest_url(name, reference) + query
    return client.put(url, data=content, headers={"Content-Type": media_type})


def push_image(
    client: Client,
    name: str,
    tag: str | None = None,
    layers: Sequence[bytes] = (b"layer",),
    **members: Any,
) -> Digest:
    """Push an image with its blobs, and return its digest."""
    for content in (b"{}", *layers):
        push_blob(client, name, content)
    content = image(layers=layers, **members)
    response = push_manifest(client, name, content, tag)
    assert response.status_code == 201, response.text
    return Digest.of(content)


def codes(response: TestResponse) -> list[str]:
    """Return the codes of an error's body, whose form is looked at too."""
    assert response.content_type == "application/json"
    errors = json.loads(response.data)["errors"]
    assert errors
    for error in errors:
        assert {"code", "message"} <= error.keys() <= {"code", "message", "detail"}
    return [error["code"] for error in errors]


def refused(response: TestResponse, status: int, code: str) -> None:
    """See that a request was refused, and how."""
    assert (response.status_code, codes(response)[:1]) == (status, [code])


class Raw(NamedTuple):
    """An answer of a WSGI application, in every byte."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        """Return the status as a number."""
        return int(self.status[:3])

    def header(self, name: str) -> str | None:
        """Return the one value of a header, or ``None``."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, values
        return values[0] if values else None

    def codes(self) -> list[str]:
        """Return the codes of the error that it is."""
        assert self.header("Content-Type") == "application/json"
        return [error["code"] for error in json.loads(self.body)["errors"]]


class FileWrapper:
    """What a server wraps files in, to send them without reading them."""

    def __init__(self, filelike: Any, block: int = 8192) -> None:
        self.filelike = filelike
        self.block = block

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.filelike.read(self.block), b"")

    def close(self) -> None:
        """Close the file."""
        self.filelike.close()


def make_environ(
    method: str = "GET",
    target: str = "/v2/",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Return the environ that gunicorn makes of a request, its target as it was sent.

    :param overrides: further members, by their names without the ``wsgi.``.
    """
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body or b""),
        "wsgi.errors": io.StringIO(),
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    if body is not None:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        environ[key] = value
    return {**environ, **overrides}


def call(application: Callable[..., Any], environ: dict[str, Any]) -> Raw:
    """Call a WSGI application as a server does, and return all of its answer."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> None:
        assert exc_info is None
        started.append((status, list(headers)))

    result = application(environ, start_response)
    try:
        body = b"".join(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    ((status, headers),) = started
    for name, value in headers:
        assert type(name) is str
        assert isinstance(value, str)
        assert not set(name + value) & set("\r\n\0")
    return Raw(status, headers, body)


def send(
    application: Callable[..., Any],
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    **overrides: Any,
) -> Raw:
    """Send a request whose target is not changed on its way."""
    environ = make_environ(method, target, headers, body, **overrides)
    return call(application, environ)


# Drivers


class WatchedDriver(StorageDriver):
    """Hands on to another driver and notes what it was asked.

    :param inner: the other driver.
    """

    def __init__(self, inner: StorageDriver) -> None:
        self.inner = inner
        self.name = inner.name
        self.renames = inner.renames
        self.dates_directories = inner.dates_directories
        #: methods with their paths, in the order of the calls.
        self.calls: list[tuple[str, str]] = []

    def asked(self, method: str, ending: str = "") -> list[str]:
        """Return the paths with which a method was called."""
        return [
            path
            for name, path in self.calls
            if name == method and path.endswith(ending)
        ]

    def get_content(self, path: str) -> bytes:
        """Note the call and hand it on."""
        self.calls.append(("get_content", path))
        return self.inner.get_content(path)

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Note the call and hand it on."""
        self.calls.append(("put_content", path))
        self.inner.put_content(path, content, durable=durable)

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Note the call and hand it on."""
        self.calls.append(("reader", path))
        return self.inner.reader(path, offset)

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Note the call and hand it on."""
        self.calls.append(("writer", path))
        return self.inner.writer(path, append_at)

    def stat(self, path: str) -> FileInfo:
        """Note the call and hand it on."""
        self.calls.append(("stat", path))
        return self.inner.stat(path)

    def list(self, path: str) -> list[str]:
        """Note the call and hand it on."""
        self.calls.append(("list", path))
        return self.inner.list(path)

    def move(self, source: str, destination: str) -> None:
        """Note the call and hand it on."""
        self.calls.append(("move", destination))
        self.inner.move(source, destination)

    def touch(self, path: str) -> None:
        """Note the call and hand it on."""
        self.calls.append(("touch", path))
        self.inner.touch(path)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Note the call and hand it on."""
        self.calls.append(("delete", path))
        self.inner.delete(path, durable=durable)

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Note each path and hand the call on."""
        self.calls += [("move", path) for _, path in moves]
        self.calls += [("put_content", path) for path, _ in contents]
        self.inner.publish(contents, moves, exclusive)

    def redirect(self, path: str, method: str) -> str | None:
        """Note the call and hand it on."""
        self.calls.append(("redirect", path))
        return self.inner.redirect(path, method)


class GivenDriver:
    """A plugin that makes a driver which is there already.

    :param driver: the driver, as another worker process has it.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self.driver = driver

    @hookimpl
    def flaskreg_make_driver(self) -> StorageDriver:
        """Return the driver."""
        return self.driver


def tree(driver: StorageDriver, path: str = "/") -> dict[str, bytes]:
    """Return every committed file below *path* with its content."""
    return dict(_iter_files(driver, path))


def _iter_files(driver: StorageDriver, path: str) -> Iterator[tuple[str, bytes]]:
    for info in driver.walk(path):
        if not info.is_dir:
            yield info.path, driver.get_content(info.path)
