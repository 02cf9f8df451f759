"""The application: settings become services, and what is wrong is one line."""

from __future__ import annotations

import logging
import socket
from collections.abc import Generator
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp
from builders import WatchedDriver
from builders import codes
from builders import push_blob
from builders import push_image
from builders import tree

from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.app import RegistryApp
from flaskreg.app import limit_idle_time
from flaskreg.cache import DescriptorCache
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.defaults.manifestoptions import STANDARD_ORDER
from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageFull
from flaskreg.errors import Unavailable
from flaskreg.manifest import ManifestOption
from flaskreg.services import GlobalScope
from flaskreg.services import GlobScope
from flaskreg.services import Registry


def test_without_settings_they_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration file and the environment are read once, at the start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGISTRY_STORAGE_DELETE_ENABLED", "true")
    app = create_app()
    client = Client(app)
    digest = push_blob(client, "app", b"content")
    assert (tmp_path / "registry-data" / "docker").is_dir()
    assert client.delete(f"/v2/app/blobs/{digest}").status_code == 202


def test_making_an_application_touches_no_storage(tmp_path: Path) -> None:
    """gunicorn forks after it."""
    root = tmp_path / "registry"
    settings = Settings.model_validate(
        {"storage": {"parameters": {"rootdirectory": str(root)}}}
    )
    app = create_app(settings)
    assert not root.exists()
    assert Client(app).get("/v2/").status_code == 200
    assert not root.exists()


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"storage": {"driver": "s4"}}, "storage.*'s4'.*pip install flaskreg-s4"),
        (
            {"storage": {"driver": "inmemory", "cache": {"blobdescriptor": "redas"}}},
            "storage.cache.blobdescriptor.*'redas'",
        ),
        ({"auth": {"controller": "htpaswd"}}, "auth.*'htpaswd'.*none.*silly"),
        ({"manifests": {"options": ["sise"]}}, "manifests.options.*'sise'.*size"),
        (
            {"manifests": {"options": [{"size": {"limits": 1}}]}},
            "manifests.options.size.limits: unknown",
        ),
        (
            {"storage": {"driver": "inmemory", "parameters": {"a": 1}}},
            "storage.inmemory.a",
        ),
    ],
)
def test_what_no_plugin_offers_is_one_line(
    sections: dict[str, Any], named: str
) -> None:
    """The line names the key, its value, and what there is."""
    with pytest.raises(ConfigError, match=named) as caught:
        create_app(Settings.model_validate(sections))
    assert "\n" not in str(caught.value)


def test_warnings_of_the_settings_are_told(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """One line each, and none for what was not written."""
    file = tmp_path / "config.yml"
    file.write_text("version: 0.1\nstorage: inmemory\nloglevel: debug\n")
    environ = {"REGISTRY_NOKEY": "x"}
    settings = load_settings(file, environ)
    with caplog.at_level(logging.WARNING, "flaskreg"):
        create_app(settings)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [*settings.warnings]
    assert any("REGISTRY_NOKEY" in line for line in lines)
    caplog.clear()
    create_app(Settings.model_validate({"storage": {"driver": "inmemory"}}))
    assert caplog.records == []


@pytest.mark.parametrize(
    "proxy",
    [
        {"remoteurl": "https://example.com"},
        {"upstreams": [{"prefix": "e", "remoteurl": "https://example.com"}]},
    ],
)
def test_a_cache_wants_its_plugin(proxy: dict[str, Any]) -> None:
    """One line says what to install."""
    sections = {"storage": {"driver": "inmemory"}, "plugins": {"disabled": ["proxy"]}}
    settings = Settings.model_validate({**sections, "proxy": proxy})
    with pytest.raises(ConfigError, match="`pip install flaskreg-proxy`"):
        create_app(settings)


def test_a_request_means_the_repository_that_the_registry_locates(
    make_app: MakeApp,
) -> None:
    """By name, namespace and host; access is decided over what was meant."""
    asked: list[tuple[str, str | None, str]] = []

    class Plugin:
        @hookimpl(wrapper=True)
        def flaskreg_make_registry(self) -> Generator[None, Registry, Registry]:
            registry = yield

            def locate(name: str, namespace: str | None, host: str) -> str:
                asked.append((name, namespace, host))
                return f"of/{namespace}/{name}" if namespace else name

            registry.locate = locate  # type: ignore[method-assign]
            return registry

    client = Client(make_app((Plugin(),)))
    digest = push_blob(client, "of/them/app", b"content")
    assert client.get(f"/v2/app/blobs/{digest}").status_code == 404
    response = client.get(f"/v2/app/blobs/{digest}?a=b&ns=them&ns=others")
    assert (response.status_code, response.data) == (200, b"content")
    assert ("app", "them", "localhost") in asked


# The options of the registry, each a setting


def test_the_driver_is_the_configured_one(make_app: MakeApp) -> None:
    """Both are there by name."""
    assert make_app(storage={"driver": "inmemory"}).driver.name == "inmemory"
    assert make_app(storage={"driver": "filesystem"}).driver.name == "filesystem"


def test_the_cache_is_the_configured_one(make_app: MakeApp) -> None:
    """Without the key there is none; with it the size is handed on."""
    made: list[object] = []

    class Plugin:
        @hookimpl
        def flaskreg_make_registry(self, cache: DescriptorCache) -> None:
            made.append(cache)

    for cache in ({}, {"blobdescriptor": "inmemory", "blobdescriptorsize": 5}):
        make_app((Plugin(),), storage={"cache": cache})
    assert [type(each).__name__ for each in made] == ["NoCache", "MemoryCache"]
    assert getattr(made[1], "size", None) == 5


def test_deletes_are_off_unless_they_are_switched_on(make_app: MakeApp) -> None:
    """Blobs, manifests and tags alike, with an error that says so."""
    app = make_app(storage={"delete": {}})
    client = Client(app)
    digest = push_image(client, "app", "latest")
    blob = push_blob(client, "app", b"content")
    for path in (f"manifests/{digest}", "manifests/latest", f"blobs/{blob}"):
        response = client.delete(f"/v2/app/{path}")
        assert (response.status_code, codes(response)) == (405, ["UNSUPPORTED"])
        assert client.get(f"/v2/app/{path}").status_code == 200


def test_scope(make_app: MakeApp) -> None:
    """Names outside the globs are unknown, whatever is done with them."""
    everything = make_app().site.registry.scope()
    assert isinstance(everything, GlobalScope)
    assert everything.contains("any/name")
    app = make_app(storage={"scope": ["team/*", "base"]})
    scope = app.site.registry.scope()
    assert isinstance(scope, GlobScope)
    client = Client(app)
    push_image(client, "team/a/b", "latest")
    push_image(client, "base", "latest")
    for name in ("other", "base/x", "teams/a", "team"):
        assert not scope.contains(name)
        for method, tail in (
            ("GET", "manifests/latest"),
            ("GET", "tags/list"),
            ("POST", "blobs/uploads/"),
            ("DELETE", "manifests/latest"),
        ):
            response = client.open(f"/v2/{name}/{tail}", method=method)
            assert (response.status_code, codes(response)) == (404, ["NAME_UNKNOWN"])
    assert client.get("/v2/_catalog").json == {"repositories": ["base", "team/a/b"]}


def test_the_catalog_leaves_out_what_is_outside_the_scope(make_app: MakeApp) -> None:
    """Content of another scope on the same storage is not shown."""
    app = make_app()
    for name in ("a", "team/a", "team/a/b", "z"):
        push_image(Client(app), name, "latest")
    narrow = make_app((GivenDriver(app.driver),), storage={"scope": ["team/*"]})
    response = Client(narrow).get("/v2/_catalog")
    assert response.json == {"repositories": ["team/a", "team/a/b"]}


class Redirecting(WatchedDriver):
    """Has URLs of its own for content."""

    def redirect(self, path: str, method: str) -> str | None:
        """Return a URL that says what was asked."""
        return f"https://cdn.example.com{path}?method={method}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_redirect(make_app: MakeApp, method: str) -> None:
    """Clients are sent to the driver's URLs, unless that is switched off."""
    app = make_app()
    digest = push_blob(Client(app), "app", b"content")
    driver = Redirecting(app.driver)
    client = Client(make_app((GivenDriver(driver),)))
    response = client.open(f"/v2/app/blobs/{digest}", method=method)
    assert response.status_code == 307
    location = response.headers["Location"]
    assert location.startswith("https://cdn.example.com/docker/registry/v2/blobs/")
    assert location.endswith(f"method={method}")
    assert response.headers["Docker-Content-Digest"] == digest
    assert response.data == b""
    assert client.open("/v2/other/blobs/" + digest, method=method).status_code == 404
    client = Client(
        make_app((GivenDriver(driver),), storage={"redirect": {"disable": True}})
    )
    response = client.open(f"/v2/app/blobs/{digest}", method=method)
    assert response.status_code == 200


def test_a_cache_of_another_registry_keeps_no_digest_states() -> None:
    """``proxy.remoteurl`` makes it the store of a cache, with resumable digests off."""
    plugin = ModuleType("proxy")
    for proxy, kept in (({}, True), ({"remoteurl": "https://example.com"}, False)):
        sections = {"proxy": proxy, "plugins": {"disabled": ["proxy"]}}
        settings = Settings.model_validate(
            {"storage": {"driver": "inmemory"}, **sections}
        )
        app = create_app(settings, (plugin,))
        session = app.site.registry.repository("app").uploads.start()
        session.append([b"content"])
        states = [path for path in tree(app.driver) if "/hashstates/" in path]
        assert bool(states) == kept


# Manifest options


def names_of_options(make_app: MakeApp, **sections: Any) -> list[str]:
    """Return the names of the options that a registry is made with."""
    found: list[str] = []

    class Plugin:
        @hookimpl
        def flaskreg_make_registry(
            self, manifest_options: list[ManifestOption]
        ) -> None:
            found.extend(option.name for option in manifest_options)

    make_app((Plugin(),), **sections)
    return found


def test_options_stand_in_the_standard_order(make_app: MakeApp) -> None:
    """Without a setting each of the core's checks is there."""
    assert names_of_options(make_app) == list(STANDARD_ORDER)


@pytest.mark.parametrize(
    "options", [[], ["size"], ["urls", "size", {"warning": {"text": "a"}}, "size"]]
)
def test_a_setting_orders_and_drops_options(
    make_app: MakeApp, options: list[Any]
) -> None:
    """They are those that are listed, in that order; an empty list checks nothing."""
    names = [next(iter(each)) if isinstance(each, dict) else each for each in options]
    assert names_of_options(make_app, manifests={"options": options}) == names


# At the start, and for each request


def test_check_storage_writes_and_leaves_nothing(app: RegistryApp) -> None:
    """A storage that takes a file and gives it up again can be used."""
    app.check_storage()
    assert tree(app.driver) == {}


def test_check_storage_of_a_read_only_registry_writes_nothing(
    make_app: MakeApp,
) -> None:
    """It may be on a file system that is mounted read-only."""
    driver = WatchedDriver(InMemoryDriver())
    readonly = {"maintenance": {"readonly": {"enabled": True}}}
    make_app((GivenDriver(driver),), storage=readonly).check_storage()
    assert driver.calls == [("list", "/")]


class Full(WatchedDriver):
    """Has no room for anything."""

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Refuse it."""
        del content, durable
        raise StorageFull(path)


def test_check_storage_tells_what_is_wrong(make_app: MakeApp) -> None:
    """The error of the driver comes through, for one line at the start."""
    app = make_app((GivenDriver(Full(InMemoryDriver())),))
    with pytest.raises(DriverError, match="no space left"):
        app.check_storage()


def test_idle_time_is_limited_where_the_server_hands_on_its_socket() -> None:
    """The limit is set on the connection, and not at all when it is 0."""
    with socket.socket() as connection:
        limit_idle_time({"gunicorn.socket": connection}, 0)
        assert connection.gettimeout() is None
        for _ in range(2):
            limit_idle_time({"gunicorn.socket": connection}, 60.0)
            assert connection.gettimeout() == 60.0
    limit_idle_time({}, 60.0)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v2/"), ("POST", "/v2/app/blobs/uploads/")]
)
def test_idle_time_is_limited_for_every_request(
    make_app: MakeApp, method: str, path: str
) -> None:
    """The lane and Flask are alike; the server resets the limit each time."""
    app = make_app(http={"idletimeout": "7s"})
    with socket.socket() as connection:
        for _ in range(2):
            connection.setblocking(True)
            environ: Mapping[str, object] = {"gunicorn.socket": connection}
            Client(app).open(path, method=method, environ_overrides=environ)
            assert connection.gettimeout() == 7.0


def test_the_root_answers(client: Client) -> None:
    """It says that the process lives, to whoever asks."""
    response = client.get("/")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Cache-Control"] == "no-cache"


def test_threads_for_bulk_transfers_are_the_settings(make_app: MakeApp) -> None:
    """All threads but the reserved ones may be taken by them."""
    app = make_app(http={"threads": 5, "reservedthreads": 2})
    bulk = app.site.bulk
    for _ in range(3):
        bulk.enter()
    with pytest.raises(Unavailable, match="too many transfers"):
        bulk.enter()
    for _ in range(3):
        bulk.leave()


def test_a_driver_is_closed_with_its_application(make_app: MakeApp) -> None:
    """Drivers of the core hold nothing open, and closing twice is no error."""
    driver = make_app().driver
    driver.close()
    driver.close()
    with pytest.raises(PathNotFound):
        driver.stat("/nothing")
