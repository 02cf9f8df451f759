"""What tests build: blobs, manifests, indexes, drivers that are watched, requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import BinaryIO
from urllib.parse import quote
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
