"""The distribution, and how a registry is put together with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from builders import Client
from flaskreg_proxy import workplace
from flaskreg_proxy.commands import _parse
from flaskreg_proxy.lifetimes import Endless
from flaskreg_proxy.registry import ProxyRegistry
from flaskreg_proxy.repository import ProxyRepository
from flaskreg_proxy.scheduling import Scheduler
from flaskreg_proxy.workplace import Workplace

from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.servicewrappers import RegistryWrapper
from flaskreg.servicewrappers import RepositoryWrapper
from flaskreg.storage.registry import LocalRegistry
from flaskreg.testing import PluginTests
from flaskreg.testing.audit import watch


class TestProxyPlugin(PluginTests):
    """The suite of plugin distributions."""

    plugin_name = "proxy"
    distribution = "flaskreg-proxy"


def make_settings(**proxy: Any) -> Settings:
    return Settings.model_validate({"storage": {"driver": "inmemory"}, "proxy": proxy})


def test_nothing_is_wrapped_without_an_upstream() -> None:
    assert not isinstance(create_app(make_settings()).site.registry, ProxyRegistry)
    app = create_app(make_settings(remoteurl="https://example.com"))
    assert isinstance(app.site.registry, ProxyRegistry)


def test_making_it_asks_nobody_and_writes_nothing() -> None:
    """The server forks after it, and starts while an upstream is down."""
    settings = make_settings(
        remoteurl="https://registry.invalid",
        upstreams=[{"prefix": "up", "remoteurl": "https://other.invalid"}],
    )
    create_app(settings)
    assert watch(lambda: create_app(settings)) == []


def test_a_local_repository_is_as_without_the_plugin(
    request: pytest.FixtureRequest,
) -> None:
    """A resumable push, and the options that look for what a manifest lists."""
    upstream = {"prefix": "up", "remoteurl": "https://registry.invalid"}
    app = create_app(make_settings(upstreams=[upstream]))
    request.addfinalizer(app.stop)
    client = Client(app)
    response = client.post("/v2/local/blobs/uploads/")
    assert response.status_code == 202
    manifest = (
        b'{"schemaVersion":2,"config":{"mediaType":"a/b","size":1,"digest":"sha256:'
        + b"0" * 64
        + b'"},"layers":[]}'
    )
    headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    refused = client.put("/v2/local/manifests/v1", data=manifest, headers=headers)
    assert refused.json["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"


def test_the_folder_for_downloads_is_this_users_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Where others may write as well; one that somebody else made is refused."""
    monkeypatch.setattr(workplace.tempfile, "gettempdir", lambda: str(tmp_path))
    place = Workplace(InMemoryDriver(), "")
    assert place.lock("a").startswith(str(tmp_path))
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match=r"proxy\.workdir"):
        Workplace(InMemoryDriver(), "").lock("a")


UPSTREAM = {"prefix": "up", "remoteurl": "https://registry.invalid"}


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"images": ["mine/app:v1"]}, "prefetch[0].images: mine/app:v1: not below"),
        ({"images": ["up/app:a/b"]}, "prefetch[0].images: up/app:a/b: "),
        ({"images": ["up/app"], "timetable": "1s"}, "prefetch[0].timetable: '1s' is"),
        ({"images": ["up/app"], "timetable": "0 99 * * *"}, "is no cron expression"),
    ],
)
def test_a_prefetch_that_makes_no_sense_is_one_line(
    entry: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        create_app(make_settings(upstreams=[UPSTREAM], prefetch=[entry]))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("proxy", "endless"),
    [
        ({}, False),
        ({"ttl": "0s"}, True),
        ({"ttl": "0s", "maxbytes": 1000}, False),
        ({"ttl": "0s", "minfree": 1000}, False),
        ({"ttl": "0s", "prefetch": [{"images": ["up/app:v1"]}]}, False),
    ],
)
def test_nothing_is_scheduled_where_nothing_is_bounded(
    proxy: dict[str, Any], endless: bool
) -> None:
    registry = create_app(make_settings(upstreams=[UPSTREAM], **proxy)).site.registry
    assert isinstance(registry, ProxyRegistry)
    assert isinstance(registry._lifetimes, Endless) == endless


def test_only_what_is_cached_is_covered() -> None:
    """A local repository is no business of the cache."""
    registry = create_app(make_settings(upstreams=[UPSTREAM])).site.registry
    assert isinstance(registry, ProxyRegistry)
    assert isinstance(registry._lifetimes, Scheduler)
    covers = registry._lifetimes._covers
    assert [covers(name) for name in ("up/app", "up", "upper/app", "mine/up")] == [
        True,
        False,
        False,
        False,
    ]


class Noted:
    """A plugin whose middleware notes what it wraps."""

    def __init__(self) -> None:
        self.registries: list[Registry] = []
        self.repositories: list[Repository] = []

    @hookimpl
    def flaskreg_register_registry_middleware(self) -> Mapping[str, Any]:
        def wrap(registry: Registry, _options: object) -> Registry:
            self.registries.append(registry)
            return RegistryWrapper(registry)

        return {"noted": wrap}

    @hookimpl
    def flaskreg_register_repository_middleware(self) -> Mapping[str, Any]:
        def wrap(repository: Repository) -> Repository:
            self.repositories.append(repository)
            return RepositoryWrapper(repository)

        return {"noted": lambda _options: wrap}


def test_middleware_stands_on_both_sides_of_a_cache() -> None:
    """As in distribution: the registry's within, the repositories' without."""
    noted, entry = Noted(), [{"name": "noted"}]
    settings = Settings.model_validate(
        {
            "storage": {"driver": "inmemory"},
            "proxy": {"remoteurl": "https://example.com"},
            "middleware": {"registry": entry, "repository": entry},
        }
    )
    registry = create_app(settings, (noted,)).site.registry
    assert [type(each) for each in noted.registries] == [LocalRegistry]
    assert isinstance(registry, RegistryWrapper)
    assert isinstance(registry.inner, ProxyRegistry)
    repository = registry.repository("app")
    assert isinstance(repository, RepositoryWrapper)
    assert [type(each) for each in noted.repositories] == [ProxyRepository]
    # ``flaskreg mirror`` fills the cache whatever clients are refused.
    assert _parse(registry, "app:v1") == (repository.inner, "v1")


class Telling(RegistryWrapper):
    """Registry middleware that notes what it is told, and renames one repository."""

    def __init__(self, inner: Registry) -> None:
        super().__init__(inner)
        self.told: list[str] = []

    def start(self) -> None:
        self.told.append("start")
        super().start()

    def stop(self) -> None:
        self.told.append("stop")
        super().stop()

    def locate(self, name: str, namespace: str | None, host: str) -> str:
        return {"old": "new"}.get(name) or super().locate(name, namespace, host)


class TellingPlugin:
    """Registers it, and keeps what it made."""

    @hookimpl
    def flaskreg_register_registry_middleware(self) -> Mapping[str, Any]:
        def wrap(registry: Registry, _options: object) -> Registry:
            self.made = Telling(registry)
            return self.made

        return {"telling": wrap}


def test_a_cache_hands_on_what_middleware_is_told(tmp_path: Path) -> None:
    """When the server begins and ends, and what a local name means."""
    plugin = TellingPlugin()
    upstream = {"prefix": "cached", "remoteurl": "https://example.com"}
    settings = Settings.model_validate(
        {
            "storage": {"driver": "inmemory"},
            "proxy": {"upstreams": [upstream], "workdir": str(tmp_path)},
            "middleware": {"registry": [{"name": "telling"}]},
        }
    )
    app = create_app(settings, (plugin,))
    registry = app.site.registry
    assert registry.locate("old", None, "") == "new"
    assert registry.locate("other", None, "") == "other"
    assert registry.locate("cached/old", None, "") == "cached/old"
    app.start()
    app.stop()
    assert plugin.made.told == ["start", "stop"]
