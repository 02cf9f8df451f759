"""Hooks: each is documented in one form, has a test here, and does what it says."""

from __future__ import annotations

import ast
import inspect
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pluggy
import pytest
import trustme
from builders import Client
from builders import MakeApp
from builders import WatchedDriver
from builders import codes
from builders import image
from builders import listening
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import uploads_url
from click.testing import CliRunner
from flask import Blueprint

import flaskreg
from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg import hookspecs
from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.cache import DescriptorCache
from flaskreg.cli import main as command
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.defaults.memorycache import MemoryCache
from flaskreg.defaults.ocimanifests import ImageType
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg.driver import StorageFull
from flaskreg.errors import Denied
from flaskreg.errors import Unauthorized
from flaskreg.events import Event
from flaskreg.events import EventSink
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestOption
from flaskreg.manifest import ManifestType
from flaskreg.measurement import Measurement
from flaskreg.measurement import Meter
from flaskreg.observer import Exchange
from flaskreg.observer import Observer
from flaskreg.plugins import make_plugin_manager
from flaskreg.servertls import ServerTls
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.servicewrappers import RegistryWrapper
from flaskreg.servicewrappers import RepositoryWrapper
from flaskreg.tls import TlsContexts


HOOKS = [name for name in dir(hookspecs) if name.startswith("flaskreg_")]


# What holds for all of them


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_have_tests(name: str) -> None:
    """A hook ships with a test that is named after it."""
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    wanted = f"test_hook_{name.removeprefix('flaskreg_')}"
    tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert any(test.startswith(wanted) for test in tests)


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_are_documented_in_one_form(name: str) -> None:
    """When it is called, each parameter, what is returned, and whether it stops."""
    spec = getattr(hookspecs, name)
    text = inspect.getdoc(spec) or ""
    first_line = text.partition("\n")[0]
    assert first_line.endswith(".")
    assert "Called " in text
    assert ":returns:" in text
    for parameter in inspect.signature(spec).parameters:
        assert f":param {parameter}:" in text
    options = spec.flaskreg_spec
    if name.startswith("flaskreg_make_"):
        assert options["firstresult"]
        assert "first result" in text
        assert "``None``" in text
    else:
        assert not options["firstresult"]
        assert "Results are collected." in text


@pytest.mark.parametrize("name", ["create_app", "hookimpl", "__version__"])
def test_exported_names(name: str) -> None:
    """What authors import from the package itself is there, and nothing else is."""
    assert getattr(flaskreg, name)
    assert name in flaskreg.__all__
    with pytest.raises(AttributeError, match="no attribute 'create_ap'"):
        flaskreg.__getattr__("create_ap")


def test_the_version_is_one() -> None:
    """Three numbers, for setup.cfg to read."""
    assert [part.isdigit() for part in flaskreg.__version__.split(".")] == [True] * 3


# The server


def test_hook_make_tls(tmp_path: Path) -> None:
    """A plugin's comes before the files of the configuration, or leaves it to them."""
    given = ssl.create_default_context()
    authority = trustme.CA().issue_cert("localhost")
    authority.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")

    class Own(ServerTls):
        context = given

    class Plugin:
        @hookimpl
        def flaskreg_make_tls(
            self, settings: Settings, protocols: Sequence[str]
        ) -> ServerTls | None:
            assert protocols == ["http/1.1"]
            return Own() if settings.http.addr == ":443" else None

    files = {
        "certificate": str(tmp_path / "cert.pem"),
        "key": str(tmp_path / "key.pem"),
    }
    hook = make_plugin_manager(plugins=[Plugin()], discover=False).hook
    for address, own in ((":443", True), (":5000", False)):
        settings = Settings.model_validate({"http": {"addr": address, "tls": files}})
        made = hook.flaskreg_make_tls(settings=settings, protocols=["http/1.1"])
        assert (made.context is given) is own
        assert isinstance(made, TlsContexts) is not own


# Registration


def test_hook_register_drivers(make_app: MakeApp) -> None:
    """The configuration selects the driver by name and hands it its parameters."""
    made: list[Mapping[str, Any]] = []

    class Plugin:
        @hookimpl
        def flaskreg_register_drivers(self) -> Mapping[str, Any]:
            def make(parameters: Mapping[str, Any]) -> StorageDriver:
                made.append(parameters)
                return InMemoryDriver()

            return {"mine": make}

    storage = {"driver": "mine", "parameters": {"a": 1}}
    client = Client(make_app((Plugin(),), storage=storage))
    push_image(client, "app", "latest")
    assert made == [{"a": 1}]


def test_hook_register_caches(make_app: MakeApp) -> None:
    """The configuration selects the cache by name."""
    caches: list[MemoryCache] = []

    class Plugin:
        @hookimpl
        def flaskreg_register_caches(self) -> Mapping[str, Any]:
            def make(parameters: Mapping[str, Any]) -> DescriptorCache:
                caches.append(MemoryCache(parameters["blobdescriptorsize"]))
                return caches[-1]

            return {"mine": make}

    cache = {"blobdescriptor": "mine", "blobdescriptorsize": 7}
    client = Client(make_app((Plugin(),), storage={"cache": cache}))
    digest = push_blob(client, "app", b"content")
    (made,) = caches
    assert made.size == 7
    assert made.stat(digest, "app") == Descriptor(
        "application/octet-stream", digest, len(b"content")
    )


class Members(AccessController):
    """Lets those push who say the word, and pull who are there."""

    def authorize(
        self, headers: Mapping[str, str], accesses: Sequence[Access]
    ) -> Grant:
        """Allow, ask, or refuse."""
        said = headers.get("authorization")
        if said is None:
            raise Unauthorized('Basic realm="members"')
        if said != "sesame" and any(each.action != "pull" for each in accesses):
            raise Denied
        return Grant(Principal(said), tuple(accesses))


def test_hook_register_access_controllers(make_app: MakeApp) -> None:
    """A controller of one's own decides over each request."""

    class Plugin:
        @hookimpl
        def flaskreg_register_access_controllers(self) -> Mapping[str, Any]:
            return {"members": lambda _parameters: Members()}

    client = Client(make_app((Plugin(),), auth={"controller": "members"}))
    response = client.get("/v2/")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="members"'
    headers = {"Authorization": "hello"}
    assert client.get("/v2/", headers=headers).status_code == 200
    assert client.post(uploads_url("app"), headers=headers).status_code == 403
    headers = {"Authorization": "sesame"}
    assert client.post(uploads_url("app"), headers=headers).status_code == 202


def test_hook_register_manifest_types(make_app: MakeApp) -> None:
    """Manifests of another media type are taken, served and told as that type."""
    kind = "application/vnd.example.thing.v1+json"

    class Plugin:
        @hookimpl
        def flaskreg_register_manifest_types(self) -> Mapping[str, ManifestType]:
            return {kind: ImageType(kind)}

    content = image(media_type=kind)
    plain = Client(make_app())
    assert codes(push_manifest(plain, "app", content, "v1")) == ["MANIFEST_INVALID"]
    client = Client(make_app((Plugin(),)))
    push_blob(client, "app", b"{}")
    assert push_manifest(client, "app", content, "v1").status_code == 201
    response = client.get("/v2/app/manifests/v1")
    assert (response.content_type, response.data) == (kind, content)


def test_hook_register_manifest_options(make_app: MakeApp) -> None:
    """The configuration puts an option in its place, with parameters."""
    seen: list[str] = []

    class Recorder(ManifestOption):
        name = "recorder"

        def __init__(self, word: str) -> None:
            self.word = word

        def before_put(self, repository: Repository, manifest: Manifest) -> None:
            assert not repository.manifests().exists(manifest.digest)
            seen.append(f"{self.word} before")

        def after_put(self, repository: Repository, manifest: Manifest) -> None:
            assert repository.manifests().exists(manifest.digest)
            seen.append(f"{self.word} after")

        def before_delete(self, repository: Repository, digest: Digest) -> None:
            assert repository.manifests().exists(digest)
            seen.append(f"{self.word} delete")

    class Plugin:
        @hookimpl
        def flaskreg_register_manifest_options(self) -> Mapping[str, Any]:
            def make(parameters: Mapping[str, Any], settings: Any) -> ManifestOption:
                assert isinstance(settings, Settings)
                return Recorder(parameters["word"])

            return {"recorder": make}

    options = [{"recorder": {"word": "one"}}, "size", {"recorder": {"word": "two"}}]
    client = Client(make_app((Plugin(),), manifests={"options": options}))
    digest = push_image(client, "app", "latest")
    assert seen == ["one before", "two before", "one after", "two after"]
    del seen[:]
    client.delete(f"/v2/app/manifests/{digest}")
    assert seen == ["one delete", "two delete"]


def test_hook_register_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin's command is listed and runs; one of the core goes before it."""
    from flaskreg.cli import main as cli_package
    from flaskreg.cli.main import group
    from flaskreg.plugins import make_plugin_manager

    assert cli_package is command

    class Plugin:
        @hookimpl
        def flaskreg_register_commands(self) -> Mapping[str, click.Command]:
            @click.command()
            def hello() -> None:
                """Greet."""
                click.echo("hello")

            return {"hello": hello, "config": hello}

    monkeypatch.setitem(
        group.list_commands.__globals__,
        "make_plugin_manager",
        lambda: make_plugin_manager(plugins=[Plugin()], discover=False),
    )
    result = CliRunner().invoke(group, ["hello"])
    assert (result.exit_code, result.stdout) == (0, "hello\n")
    assert "Greet." in CliRunner().invoke(group, ["--help"]).stdout
    assert "reference" in CliRunner().invoke(group, ["config", "--help"]).stdout


def test_hook_register_blueprints(make_app: MakeApp) -> None:
    """Endpoints beside the API are mounted, and given what was made."""
    given: list[object] = []

    class Plugin:
        @hookimpl
        def flaskreg_register_blueprints(
            self, registry: Registry, settings: Settings, controller: AccessController
        ) -> Mapping[str, Blueprint]:
            given.extend([settings, registry, controller])
            blueprint = Blueprint("mine", __name__)
            blueprint.add_url_rule("/hello", "hello", lambda: "hello")
            return {"/mine": blueprint}

    app = make_app((Plugin(),))
    assert isinstance(given[0], Settings)
    assert given[1:] == [app.site.registry, app.site.controller]
    client = Client(app)
    assert client.get("/mine/hello").text == "hello"
    assert client.get("/v2/").status_code == 200
    assert codes(client.get("/mine/other")) == ["NOT_FOUND"]


def middleware(*entries: Mapping[str, Any], kind: str = "storage") -> dict[str, Any]:
    """Return the section with entries of one of its lists."""
    return {kind: list(entries)}


def labelled(*labels: str) -> list[dict[str, Any]]:
    """Return entries of the middleware ``mine``, and one that is off."""
    entries = [{"name": "mine", "options": {"label": label}} for label in labels]
    return [*entries[:1], {"name": "mine", "disabled": True}, *entries[1:]]


def test_hook_register_storage_middleware(make_app: MakeApp) -> None:
    """Entries are put around the driver in their order, with their options."""

    class Plugin:
        @hookimpl
        def flaskreg_register_storage_middleware(self) -> Mapping[str, Any]:
            def wrap(driver: StorageDriver, options: Mapping[str, Any]) -> Any:
                wrapped = WatchedDriver(driver)
                wrapped.label = options["label"]  # type: ignore[attr-defined]
                return wrapped

            return {"mine": wrap}

    app = make_app((Plugin(),), middleware=middleware(*labelled("a", "b")))
    driver: Any = app.driver
    assert [driver.label, driver.inner.label] == ["b", "a"]
    push_image(Client(app), "app", "latest")


def test_hook_register_registry_middleware(make_app: MakeApp) -> None:
    """Entries are put around the registry in their order, within a plugin's wrapper."""

    class Labelled(RegistryWrapper):
        label = ""

        def repository(self, name: str) -> Repository:
            asked.append(self.label)
            return super().repository(name)

    def labelling(registry: Registry, options: Mapping[str, Any]) -> Registry:
        wrapped = Labelled(registry)
        wrapped.label = options["label"]
        return wrapped

    class Plugin:
        @hookimpl
        def flaskreg_register_registry_middleware(self) -> Mapping[str, Any]:
            return {"mine": labelling}

        @hookimpl(wrapper=True)
        def flaskreg_make_registry(
            self,
            registry_middleware: Mapping[str, Any],
            repository_middleware: Mapping[str, Any],
        ) -> Generator[None, Registry, Registry]:
            assert "mine" in registry_middleware
            assert "mine" not in repository_middleware
            registry = yield
            return labelling(registry, {"label": "plugin"})

    asked: list[str] = []
    entries = middleware(*labelled("a", "b"), kind="registry")
    app = make_app((Plugin(),), middleware=entries)
    assert app.site.registry.repository("app").name == "app"
    assert asked == ["plugin", "b", "a"]
    push_image(Client(app), "app", "latest")


def test_hook_register_repository_middleware(make_app: MakeApp) -> None:
    """Each repository is wrapped once in a process, outside of a plugin's wrapper."""

    class Labelled(RepositoryWrapper):
        label = ""

    def labelling(options: Mapping[str, Any]) -> Callable[[Repository], Repository]:
        read.append(options["label"])

        def wrap(repository: Repository) -> Repository:
            wrapped = Labelled(repository)
            wrapped.label = options["label"]
            return wrapped

        return wrap

    class Elsewhere(RegistryWrapper):
        def repository(self, name: str) -> Repository:
            asked.append(name)
            return super().repository(name)

    class Plugin:
        @hookimpl
        def flaskreg_register_repository_middleware(self) -> Mapping[str, Any]:
            return {"mine": labelling}

        @hookimpl(wrapper=True)
        def flaskreg_make_registry(self) -> Generator[None, Registry, Registry]:
            return Elsewhere((yield))

    read: list[str] = []
    asked: list[str] = []
    entries = middleware(*labelled("a", "b"), kind="repository")
    app = make_app((Plugin(),), middleware=entries)
    assert read == ["a", "b"]
    assert asked == []
    for _ in range(2):
        found: Any = app.site.registry.repository("app")
        assert [found.label, found.inner.label, found.name] == ["b", "a", "app"]
    assert asked == ["app"]
    push_image(Client(app), "app", "latest")


@pytest.mark.parametrize("kind", ["storage", "registry", "repository"])
def test_middleware_that_is_missing_is_named(make_app: MakeApp, kind: str) -> None:
    """In one line, with what to install."""
    for name, wanted in (("absent", "absent"), ("s3aws", "s3")):
        with pytest.raises(ConfigError) as caught:
            make_app((), middleware=middleware({"name": name}, kind=kind))
        assert str(caught.value).startswith(f"middleware.{kind}[0]: ")
        assert f"`pip install flaskreg-{wanted}`" in str(caught.value)


def test_hook_register_observers(make_app: MakeApp) -> None:
    """Each request is seen once before and once after; a failing observer is not."""
    seen: list[tuple[str, str, int, str]] = []

    class Watching(Observer):
        def started(self, exchange: Exchange) -> None:
            seen.append(("started", exchange.endpoint, exchange.status, exchange.name))

        def finished(self, exchange: Exchange) -> None:
            seen.append(("finished", exchange.endpoint, exchange.status, exchange.name))

    class Failing(Observer):
        def started(self, exchange: Exchange) -> None:
            raise LookupError(exchange.id)

        finished = started

    class Plugin:
        @hookimpl
        def flaskreg_register_observers(
            self, settings: Settings
        ) -> Mapping[str, Observer]:
            assert settings.storage.driver
            return {"failing": Failing(), "watching": Watching()}

    client = Client(make_app((Plugin(),)))
    digest = push_blob(client, "app", b"content" * 20_000)
    del seen[:]
    assert client.get(f"/v2/app/blobs/{digest}").data == b"content" * 20_000
    assert client.get("/v2/app/manifests/none").status_code == 404
    assert seen == [
        ("started", "blob", 0, "app"),
        ("finished", "blob", 200, "app"),
        ("started", "manifest", 0, "app"),
        ("finished", "manifest", 404, "app"),
    ]


def test_hook_register_debug_pages(make_app: MakeApp) -> None:
    """A page is served at the debug address, beside those of the core."""

    def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "5")])
        return [environ["REQUEST_METHOD"].encode()[:3] + b"!\n"]

    class Plugin:
        @hookimpl
        def flaskreg_register_debug_pages(
            self, settings: Settings, meters: Sequence[Meter]
        ) -> Mapping[str, Any]:
            assert settings.http.debug.addr
            found = [each.name for meter in meters for each in meter()]
            assert "flaskreg_build_info" in found
            return {"/mine": page}

    app = make_app((Plugin(),), http={"debug": {"addr": "127.0.0.1:0"}})
    app.start()
    try:
        url = f"http://127.0.0.1:{listening(app)}"
        with urllib.request.urlopen(f"{url}/mine", timeout=30) as answer:
            assert answer.read() == b"GET!\n"
        with urllib.request.urlopen(f"{url}/debug/health", timeout=30) as answer:
            assert answer.read() == b"{}\n"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/other", timeout=30)
    finally:
        app.background.stop()


def test_hook_register_sinks(make_app: MakeApp) -> None:
    """What happened is told before the answer; a sink that fails fails pushes alone."""
    told: list[Event] = []
    full: list[bool] = []
    life: list[str] = []

    class Sink(EventSink):
        def accept(self, event: Event) -> None:
            if full:
                raise StorageFull("/outbox")
            told.append(event)

        def start(self) -> None:
            life.append("start")

        def stop(self) -> None:
            life.append("stop")

    class Plugin:
        @hookimpl
        def flaskreg_register_sinks(
            self, settings: Settings
        ) -> Mapping[str, EventSink]:
            assert settings.storage.driver
            return {"mine": Sink()}

    app = make_app((Plugin(),))
    client = Client(app)
    digest = push_blob(client, "app", b"content")
    client.get(f"/v2/app/blobs/{digest}")
    client.delete(f"/v2/app/blobs/{digest}")
    assert [event.action for event in told] == ["push", "pull", "delete"]
    assert {event.repository for event in told} == {"app"}
    assert {event.target.digest for event in told if event.target} == {digest}
    assert told[0].url == f"http://localhost/v2/app/blobs/{digest}"
    push_image(client, "app", "latest")
    full.append(True)
    response = client.post(uploads_url("app", digest=digest), data=b"content")
    assert (response.status_code, codes(response)) == (507, ["UNAVAILABLE"])
    assert client.get("/v2/app/manifests/latest").status_code == 200
    assert client.delete("/v2/app/manifests/latest").status_code == 202
    app.stop()
    assert life == ["start", "stop"]


def test_endpoints_without_a_plugin_are_an_error() -> None:
    """Nobody believes that they are told when they are not."""
    endpoints = [{"name": "a", "url": "http://a/"}]
    sections = {
        "notifications": {"endpoints": endpoints},
        "plugins": {"disabled": ["notifications"]},
    }
    settings = Settings.model_validate({"storage": {"driver": "inmemory"}, **sections})
    with pytest.raises(ConfigError, match="pip install flaskreg-notifications"):
        create_app(settings)


def test_hook_register_meters(make_app: MakeApp) -> None:
    """What they measure is handed to the pages that show numbers."""
    found: list[Measurement] = []

    class Plugin:
        @hookimpl
        def flaskreg_register_meters(self, settings: Settings) -> Mapping[str, Meter]:
            assert settings.storage.driver
            return {"mine": lambda: [Measurement("mine", "gauge", "Mine.", 7)]}

        @hookimpl
        def flaskreg_register_debug_pages(
            self, meters: Sequence[Meter]
        ) -> Mapping[str, Any]:
            found.extend(each for meter in meters for each in meter())
            return {}

    make_app((Plugin(),), http={"debug": {"addr": "127.0.0.1:0"}})
    assert Measurement("mine", "gauge", "Mine.", 7) in found


# Construction


def test_hook_make_driver_is_wrapped_by_middleware(make_app: MakeApp) -> None:
    """A wrapper is given the configured driver and its own is used over HTTP."""

    class Plugin:
        @hookimpl(wrapper=True)
        def flaskreg_make_driver(
            self, settings: Settings, drivers: Mapping[str, Any]
        ) -> Generator[None, StorageDriver, StorageDriver]:
            inner = yield
            assert inner.name == settings.storage.driver
            assert settings.storage.driver in drivers
            return WatchedDriver(inner)

    app = make_app((Plugin(),))
    push_image(Client(app), "app", "latest")
    assert isinstance(app.driver, WatchedDriver)
    assert app.driver.asked("put_content", "tags/latest/current/link")


def test_hook_make_cache_may_be_taken_over(make_app: MakeApp) -> None:
    """The first result is the one; the core's comes last."""
    mine = MemoryCache()

    class Plugin:
        @hookimpl
        def flaskreg_make_cache(self, caches: Mapping[str, Any]) -> DescriptorCache:
            assert {"inmemory", "none"} <= caches.keys()
            return mine

    client = Client(make_app((Plugin(),)))
    digest = push_blob(client, "app", b"content")
    assert mine.stat(digest, "app") is not None


def test_hook_make_access_controller_may_be_wrapped(make_app: MakeApp) -> None:
    """A wrapper adds to whatever controller is configured."""

    class Weekdays(AccessController):
        def __init__(self, inner: AccessController) -> None:
            self.inner = inner

        def authorize(
            self, headers: Mapping[str, str], accesses: Sequence[Access]
        ) -> Grant:
            if any(each.action == "delete" for each in accesses):
                raise Denied(message="not on a Sunday")
            return self.inner.authorize(headers, accesses)

    class Plugin:
        @hookimpl(wrapper=True)
        def flaskreg_make_access_controller(
            self,
        ) -> Generator[None, AccessController, AccessController]:
            return Weekdays((yield))

    client = Client(make_app((Plugin(),)))
    digest = push_blob(client, "app", b"content")
    response = client.delete(f"/v2/app/blobs/{digest}")
    assert (response.status_code, codes(response)) == (403, ["DENIED"])
    assert client.get(f"/v2/app/blobs/{digest}").data == b"content"


class Delegating:
    """Hands every attribute that it has not on to another object."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_hook_make_registry_is_wrapped_by_middleware(make_app: MakeApp) -> None:
    """A pull-through cache or a quota stands around the whole registry."""

    class Prefixed(Delegating):
        def repository(self, name: str) -> Any:
            return self.inner.repository(f"prefix/{name}")

    class Plugin:
        @hookimpl(wrapper=True)
        def flaskreg_make_registry(
            self,
            driver: StorageDriver,
            cache: DescriptorCache,
            manifest_types: Mapping[str, ManifestType],
            manifest_options: Sequence[ManifestOption],
            hook: pluggy.HookRelay,
        ) -> Generator[None, Registry, Any]:
            assert driver.list("/") == []
            assert isinstance(cache, DescriptorCache)
            assert all(kind == each.media_type for kind, each in manifest_types.items())
            assert [option.name for option in manifest_options]
            assert hook.flaskreg_make_repository
            return Prefixed((yield))

    app = make_app((Plugin(),))
    client = Client(app)
    push_image(client, "app", "latest")
    assert client.get("/v2/app/manifests/latest").status_code == 200
    assert client.get("/v2/_catalog").json == {"repositories": ["prefix/app"]}
    assert client.get("/v2/prefix/app/manifests/latest").status_code == 404


def test_hook_make_repository_is_wrapped_by_middleware(make_app: MakeApp) -> None:
    """Each repository can be wrapped, and is made once in a process."""
    made: list[str] = []

    class Loud(Delegating):
        def exists(self) -> bool:
            return False

    class Plugin:
        @hookimpl(wrapper=True)
        def flaskreg_make_repository(
            self, registry: Registry, name: str
        ) -> Generator[None, Repository, Any]:
            made.append(name)
            repository = yield
            assert repository.name == name
            assert registry.scope().contains(name)
            return Loud(repository)

    client = Client(make_app((Plugin(),)))
    push_image(client, "app/one", "latest")
    push_image(client, "app/two", "latest")
    assert client.get("/v2/app/one/tags/list").json == {
        "name": "app/one",
        "tags": ["latest"],
    }
    assert made == ["app/one", "app/two"]


def test_hook_make_repository_leaves_other_registries_alone() -> None:
    """The core makes repositories of its own registry, and of no other."""
    hook = make_plugin_manager(discover=False).hook
    assert hook.flaskreg_make_repository(registry=object(), name="app") is None


@pytest.mark.parametrize("order", [1, -1])
def test_wrappers_stand_around_each_other(make_app: MakeApp, order: int) -> None:
    """The one registered last is the outermost, whoever makes the driver."""

    def plugin(word: str) -> Callable[[], object]:
        class Outer(WatchedDriver):
            pass

        class Plugin:
            @hookimpl(wrapper=True)
            def flaskreg_make_driver(
                self,
            ) -> Generator[None, StorageDriver, StorageDriver]:
                driver = Outer((yield))
                driver.name = word
                return driver

        return Plugin

    plugins = [plugin("a")(), plugin("b")()][::order]
    app = make_app(tuple(plugins))
    assert app.driver.name == ("b" if order == 1 else "a")
