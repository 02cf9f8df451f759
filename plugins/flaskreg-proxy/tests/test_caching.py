"""A cache in this process before a registry in this process, over real connections."""

from __future__ import annotations

import io
import logging
import os
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import flaskreg_proxy
import pytest
from builders import Client
from builders import image
from flaskreg_proxy import counters
from flaskreg_proxy.blobs import PinnedReader
from flaskreg_proxy.prefetch import Prefetching
from flaskreg_proxy.registry import ProxyRegistry
from werkzeug.serving import make_server

from flaskreg import create_app
from flaskreg.app import RegistryApp
from flaskreg.config import Settings
from flaskreg.config.proxy import Prefetch
from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.services import AddEtagToTag
from flaskreg.services import ManifestNotModified
from flaskreg.storage import paths
from flaskreg.storage.links import Links


CONTENT = b"the content of a layer" * 100
DIGEST = Digest.of(CONTENT)
MANIFEST = image(layers=[CONTENT])

MakeCache = Callable[..., RegistryApp]


class Recorder:
    """Lifetimes that note what they are told."""

    def __init__(self) -> None:
        self.touched: list[tuple[str, str, str, int]] = []
        self.pins: list[str] = []
        self.started: list[bool] = []
        self.asked: list[int] = []
        self.full = False

    def touch(self, repository: str, kind: str, digest: Digest, size: int) -> None:
        self.touched.append((repository, kind, digest, size))

    @contextmanager
    def pinned(self, digest: Digest) -> Iterator[None]:
        self.pins.append(digest)
        yield
        self.pins.remove(digest)

    def hold(self, digest: Digest | None) -> AbstractContextManager[None]:
        return nullcontext() if digest is None else self.pinned(digest)

    @contextmanager
    def room(self, size: int, patience: float) -> Iterator[bool]:
        assert patience > 0
        self.asked.append(size)
        yield not self.full

    def start(self, *, jobs: bool = True) -> None:
        self.started.append(jobs)

    def close(self) -> None:
        """Nothing goes on."""


@pytest.fixture
def origin() -> Iterator[str]:
    """A registry with one image; returns its URL."""
    app = create_app(Settings.model_validate({"storage": {"driver": "inmemory"}}))
    repository = app.site.registry.repository("team/app")
    for blob in (b"{}", CONTENT):
        repository.uploads.start().commit(Digest.of(blob), [blob])
    repository.manifests().put(MANIFEST, OCI_MANIFEST, None, ["v1"])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    app.stop()


@pytest.fixture
def lifetimes(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(flaskreg_proxy, "make_lifetimes", lambda *_: recorder)
    return recorder


@pytest.fixture(params=["filesystem", "inmemory"])
def cache(
    request: pytest.FixtureRequest, tmp_path: Path, origin: str, lifetimes: Recorder
) -> Iterator[RegistryApp]:
    """A cache of it below ``up/``, over two drivers."""
    del lifetimes
    storage: dict[str, Any] = {"driver": request.param, "delete": {"enabled": True}}
    proxy: dict[str, Any] = {"upstreams": [{"prefix": "up", "remoteurl": origin}]}
    if request.param == "filesystem":
        storage["parameters"] = {"rootdirectory": str(tmp_path / "root")}
    else:
        proxy["workdir"] = str(tmp_path / "work")
    storage["cache"] = {"blobdescriptor": "inmemory"}
    app = create_app(Settings.model_validate({"storage": storage, "proxy": proxy}))
    yield app
    app.stop()
    registry = app.site.registry
    assert isinstance(registry, ProxyRegistry)
    for upstream in registry._upstreams.all:
        upstream.client.close()


def pull(app: RegistryApp, path: str) -> Any:
    return Client(app).get(f"/v2/up/team/app/{path}")


def settle() -> None:
    """Wait until no download goes on: its last steps are after the last byte."""
    for thread in threading.enumerate():
        if thread.name.startswith("download "):
            thread.join(20)


def test_an_image_is_cached(cache: RegistryApp) -> None:
    assert pull(cache, "manifests/v1").data == MANIFEST
    assert pull(cache, f"blobs/{DIGEST}").data == CONTENT
    settle()
    local = cache.site.registry.inner.repository("up/team/app")  # type: ignore[attr-defined]
    assert local.blobs.get(DIGEST) == CONTENT
    assert local.manifests().get_tagged("v1").content == MANIFEST


def test_lifetimes_are_told_and_hold_what_is_in_flight(
    cache: RegistryApp, lifetimes: Recorder
) -> None:
    """When it is cached, and each time that it is served."""
    for _ in range(2):
        pull(cache, "manifests/v1")
        pull(cache, f"blobs/{DIGEST}").close()
        settle()
    digest = Digest.of(MANIFEST)
    manifest = ("up/team/app", "manifest", digest, len(MANIFEST))
    blob = ("up/team/app", "blob", DIGEST, len(CONTENT))
    assert lifetimes.touched == [manifest, manifest, blob, manifest, blob]
    assert lifetimes.asked == [len(MANIFEST), len(CONTENT)]
    assert lifetimes.started[0] is True
    assert lifetimes.pins == []
    blobs = cache.site.registry.repository("up/team/app").blobs
    reader = blobs.open(blobs.stat(DIGEST))
    assert lifetimes.pins == [DIGEST]
    reader.close()
    assert lifetimes.pins == []


def test_a_local_blob_keeps_its_files_number(
    cache: RegistryApp, request: pytest.FixtureRequest
) -> None:
    """So that the kernel sends it, where it is in a file."""
    blobs = cache.site.registry.repository("up/team/app").blobs
    assert blobs.get(DIGEST) == CONTENT
    settle()
    with blobs.open(blobs.stat(DIGEST)) as reader:
        if "filesystem" in request.node.name:
            assert os.fstat(reader.fileno()).st_size == len(CONTENT)
        else:
            with pytest.raises(OSError):
                reader.fileno()


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_other_digests(cache: RegistryApp, origin: str, algorithm: str) -> None:
    """What is asked for by them comes by them, and is kept once."""
    del origin
    digest = Digest.of(CONTENT, algorithm)
    first = pull(cache, f"blobs/{digest}")
    if algorithm == "sha256":
        assert first.data == CONTENT
    else:
        assert first.status_code == 404


def test_a_tag_that_the_caller_has(cache: RegistryApp) -> None:
    pull(cache, "manifests/v1")
    option = AddEtagToTag("v1", Digest.of(MANIFEST))
    repository = cache.site.registry.repository("up/team/app")
    with pytest.raises(ManifestNotModified):
        repository.manifests(option).get_tagged("v1")


def test_the_counters(cache: RegistryApp) -> None:
    for _ in range(3):
        pull(cache, "manifests/v1")
        pull(cache, f"blobs/{DIGEST}").close()
        settle()
    registry = cache.site.registry
    assert isinstance(registry, ProxyRegistry)
    value = registry.counters.value
    for kind, size in (("blob", len(CONTENT)), ("manifest", len(MANIFEST))):
        assert value(counters.REQUESTS, kind) == 3
        assert value(counters.MISSES, kind) == 1
        assert value(counters.HITS, kind) == 2
        assert value(counters.PULLED, kind) == size
        assert value(counters.PUSHED, kind) == 3 * size
    assert value(counters.LOOKUPS, "new") == 1
    assert value(counters.DOWNLOADS, "stored") == 1
    missing = Digest.of(b"nobody has this")
    assert pull(cache, f"manifests/{missing}").status_code == 404
    assert value(counters.REQUESTS, "manifest") == 4
    assert value(counters.HITS, "manifest") + value(counters.MISSES, "manifest") == 3


# What there is no room for


def test_what_has_no_room_is_passed_on(cache: RegistryApp, lifetimes: Recorder) -> None:
    """Every time that it is asked for, and nothing is left of it."""
    lifetimes.full = True
    for _ in range(2):
        assert pull(cache, f"blobs/{DIGEST}").data == CONTENT
        settle()
        assert not is_stored(cache, DIGEST)
    registry = cache.site.registry
    assert isinstance(registry, ProxyRegistry)
    assert registry.counters.value(counters.MISSES, "blob") == 2
    assert registry.counters.value(counters.DOWNLOADS, "passed_on") == 2
    growing = registry._downloads.workplace.download(DIGEST)
    assert os.listdir(os.path.dirname(growing)) == []
    lifetimes.full = False
    assert pull(cache, f"blobs/{DIGEST}").data == CONTENT
    settle()
    assert is_stored(cache, DIGEST)


def is_stored(app: RegistryApp, digest: Digest) -> bool:
    try:
        app.driver.stat(paths.blob_data(digest))
    except PathNotFound:
        return False
    return True


def test_a_push_holds_its_content(cache: RegistryApp, lifetimes: Recorder) -> None:
    """A local repository is guarded, so that no removal falls into a push."""
    seen: list[list[str]] = []
    publish = cache.driver.publish

    def told(*arguments: Any, **more: Any) -> None:
        seen.append(list(lifetimes.pins))
        publish(*arguments, **more)

    cache.driver.publish = told  # type: ignore[method-assign]
    repository = cache.site.registry.repository("mine/app")
    repository.uploads.start().commit(DIGEST, [CONTENT])
    assert [DIGEST] in seen
    assert lifetimes.pins == []


def test_a_manifest_that_just_went_is_looked_up_again(cache: RegistryApp) -> None:
    """A removal may fall between the look-up of a tag and the answer."""
    pull(cache, "manifests/v1")
    registry = cache.site.registry
    links = Links(cache.driver, "up/team/app", paths.revision)
    manifests = registry.repository("up/team/app").manifests()
    renew = manifests._renew  # type: ignore[attr-defined]

    def removed(tag: str, held: Digest) -> None:
        renew(tag, held)
        links.unlink(held)

    manifests._renew = removed  # type: ignore[attr-defined]
    registry._freshness.is_fresh = lambda *_: False  # type: ignore[attr-defined]
    assert manifests.get_tagged("v1").content == MANIFEST


def test_a_prefetch_ends_when_it_is_told_and_renews_what_is_here(
    cache: RegistryApp, lifetimes: Recorder
) -> None:
    """What was had ahead of time is not to go before somebody wants it."""
    registry = cache.site.registry
    entry = Prefetch(images=["up/team/app:v1"])
    run = Prefetching(entry, [("up/team/app", "v1")], lambda: registry).run
    run(lambda: False)
    assert lifetimes.touched == []
    assert not is_stored(cache, Digest.of(MANIFEST))
    run(lambda: True)
    settle()
    assert is_stored(cache, DIGEST)
    lifetimes.touched.clear()
    run(lambda: True)
    assert {digest for _, _, digest, _ in lifetimes.touched} == {
        DIGEST,
        Digest.of(b"{}"),
        Digest.of(MANIFEST),
    }
    assert lifetimes.pins == []


class Sending(io.BytesIO):
    """A reader that sends itself, as those of object stores do."""

    def send_to(self, sock: socket.socket, count: int) -> int:
        data = self.read(count)
        sock.sendall(data)
        return len(data)


def test_a_pinned_reader_sends_as_its_own_does() -> None:
    """It offers what the reader of the storage offers, and no more."""
    ours, theirs = socket.socketpair()
    with ours, theirs, PinnedReader(Sending(b"content"), nullcontext()) as reader:
        assert reader.send_to(ours, 4) == 4
        assert theirs.recv(10) == b"cont"
        assert reader.read() == b"ent"
    assert not hasattr(PinnedReader(io.BytesIO(), nullcontext()), "send_to")
