"""The application: the only place, with the plugin manager, that knows every part."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import pluggy
from flask import Flask

from flaskreg.background import Background
from flaskreg.cache import DescriptorCache
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.debugserver import DebugServer
from flaskreg.debugserver import parse_address
from flaskreg.debugvars import make_vars_page
from flaskreg.defaults.manifestoptions import STANDARD_ORDER
from flaskreg.defaults.services import pick
from flaskreg.driver import StorageDriver
from flaskreg.events import EventSink
from flaskreg.health.checks import make_schedules
from flaskreg.health.gate import Gate
from flaskreg.health.pages import Page
from flaskreg.health.pages import Readiness
from flaskreg.health.pages import debug_page
from flaskreg.health.pages import make_blueprint as health_blueprint
from flaskreg.logs.audit import AuditLog
from flaskreg.logs.cache import TellingCache
from flaskreg.manifest import ManifestOption
from flaskreg.observer import Observer
from flaskreg.plugins import collect
from flaskreg.plugins import make_plugin_manager
from flaskreg.routes import lane
from flaskreg.routes import make_blueprint
from flaskreg.routes.bulk import BulkLimit
from flaskreg.routes.site import Site
from flaskreg.routes.statetoken import StateSigner
from flaskreg.routes.urls import TrustedProxies
from flaskreg.routes.urls import Urls
from flaskreg.services import Registry
from flaskreg.storage.readonly import ReadOnly
from flaskreg.storage.secrets import FixedSecrets
from flaskreg.storage.secrets import StoredSecrets
from flaskreg.upkeep.purger import Purger


_log = logging.getLogger("flaskreg")

#: bytes of a probe of the storage: a full disk still takes an empty file.
_PROBE = 4096


class RegistryApp(Flask):
    """Flask, with the read lane before it.

    :param site: what is served.
    :param driver: where it is kept.
    :param gate: refuses requests while a check fails.
    :param background: what a process does beside its requests.
    """

    def __init__(
        self, site: Site, driver: StorageDriver, gate: Gate, background: Background
    ) -> None:
        super().__init__("flaskreg", static_folder=None)
        self.site = site
        self.driver = driver
        self.gate = gate
        self.background = background
        self._begun = False
        self.register_blueprint(make_blueprint(site))

    def start(self) -> None:
        """Begin what this process does beside its requests.

        A server that forks calls it after that; else the first request does.
        """
        self._begun = True
        self.site.registry.start()
        for sink in self.site.sinks:
            sink.start()
        self.background.start()

    def stop(self) -> None:
        """End it, when the process has served its last request."""
        self.background.stop()
        for sink in self.site.sinks:
            sink.stop()
        self.site.registry.stop()

    def check_storage(self) -> None:
        """See that the storage can be used, by writing to it unless it is read-only.

        :raises DriverError: it cannot.
        :raises OSError: likewise.
        """
        if self.site.read_only():
            self.driver.list("/")
            return
        probe = f"/flaskreg/probes/{uuid.uuid4()}"
        self.driver.put_content(probe, bytes(_PROBE), durable=False)
        self.driver.delete(probe, durable=False)

    def wsgi_app(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request, from the lane when it can."""
        if not self._begun:
            self.start()
        if self.gate.closed:
            refused = self.gate.refuse(environ, start_response)
            if refused is not None:
                return refused
        limit_idle_time(environ, self.site.idle_timeout)
        served = lane.serve(self.site, environ, start_response)
        if served is not None:
            return served
        response: Iterable[bytes] = super().wsgi_app(environ, start_response)
        return response


def limit_idle_time(environ: dict[str, Any], seconds: float) -> None:
    """Let no read or write of this request wait for longer.

    gunicorn's threads have no such limit of their own, and reset it for each request.
    """
    socket = environ.get("gunicorn.socket")
    if socket is not None and seconds and socket.gettimeout() != seconds:
        socket.settimeout(seconds)


def create_app(
    settings: Settings | None = None, plugins: Iterable[object] = ()
) -> RegistryApp:
    """Return the WSGI application.

    :param settings: ``None`` reads them from the configuration file and environment.
    :param plugins: further plugins, beside the defaults and the installed ones.
    :raises ConfigError: a setting is wrong; one line says which, and what is right.
    :raises PluginError: the plugins do not go together.
    """
    if settings is None:
        settings = load_settings()
    for line in settings.warnings:
        _log.warning("%s", line)
    manager = make_plugin_manager(settings.plugins.disabled, plugins)
    if settings.proxy.configured and not manager.has_plugin("proxy"):
        raise ConfigError(
            "proxy: no plugin that caches other registries is loaded; "
            "try `pip install flaskreg-proxy`"
        )
    driver = make_driver(manager, settings)
    registry = make_registry(manager, settings, driver)
    controller = manager.hook.flaskreg_make_access_controller(
        settings=settings,
        controllers=collect(manager, "flaskreg_register_access_controllers"),
    )
    observers = _make_observers(manager, settings)
    sinks = _make_sinks(manager, settings)
    site = _make_site(settings, driver, registry, controller, observers, sinks)
    gate = Gate()
    readiness = Readiness(lambda: app.check_storage(), lambda: gate.failing)
    background = Background(
        make_schedules(settings, driver),
        gate,
        _make_debug(manager, settings, gate, readiness),
        _make_loops(settings, driver, site),
    )
    app = RegistryApp(site, driver, gate, background)
    app.register_blueprint(health_blueprint(readiness))
    blueprints = collect(
        manager,
        "flaskreg_register_blueprints",
        settings=settings,
        registry=registry,
        controller=controller,
    )
    for prefix, blueprint in blueprints.items():
        app.register_blueprint(blueprint, url_prefix=prefix)
    return app


def make_driver(manager: pluggy.PluginManager, settings: Settings) -> StorageDriver:
    """Return the storage driver that is configured, wrapped as plugins want it."""
    driver: StorageDriver = manager.hook.flaskreg_make_driver(
        settings=settings,
        drivers=collect(manager, "flaskreg_register_drivers"),
        middleware=collect(manager, "flaskreg_register_storage_middleware"),
    )
    return driver


def make_registry(
    manager: pluggy.PluginManager, settings: Settings, driver: StorageDriver
) -> Registry:
    """Return the registry that is configured, on a driver."""
    hook = manager.hook
    registry: Registry = hook.flaskreg_make_registry(
        settings=settings,
        driver=driver,
        cache=_make_cache(manager, settings),
        manifest_types=collect(manager, "flaskreg_register_manifest_types"),
        manifest_options=_make_options(manager, settings),
        registry_middleware=collect(manager, "flaskreg_register_registry_middleware"),
        repository_middleware=collect(
            manager, "flaskreg_register_repository_middleware"
        ),
        hook=hook,
    )
    return registry


def _make_loops(
    settings: Settings, driver: StorageDriver, site: Site
) -> Sequence[Callable[[threading.Event], None]]:
    """Make what goes on in each process until it is told to stop."""
    purging = settings.storage.maintenance.uploadpurging
    if not purging.enabled:
        return ()
    purger = Purger(
        driver,
        age=purging.age,
        interval=purging.interval,
        dry_run=purging.dryrun,
        paused=site.read_only,
    )
    return (purger.run,)


def _make_cache(manager: pluggy.PluginManager, settings: Settings) -> DescriptorCache:
    """Make the cache; when requests are logged in full, each tells what it answered."""
    cache: DescriptorCache = manager.hook.flaskreg_make_cache(
        settings=settings, caches=collect(manager, "flaskreg_register_caches")
    )
    access = settings.log.accesslog
    if access.disabled or access.formatter != "json":
        return cache
    return TellingCache(cache) if settings.storage.cache.blobdescriptor else cache


def _make_options(
    manager: pluggy.PluginManager, settings: Settings
) -> Sequence[ManifestOption]:
    """Make the manifest options in the configured order, or the standard one."""
    offered = collect(manager, "flaskreg_register_manifest_options")
    if settings.manifests.options is None:
        return [offered[name]({}, settings) for name in STANDARD_ORDER]
    return [
        pick("manifests.options", entry.name, offered)(entry.parameters, settings)
        for entry in settings.manifests.options
    ]


def _make_debug(
    manager: pluggy.PluginManager, settings: Settings, gate: Gate, readiness: Readiness
) -> DebugServer | None:
    """Make the debug server, if there is an address for it."""
    debug = settings.http.debug
    if not debug.addr:
        return None
    try:
        address = parse_address(debug.addr)
    except ValueError as error:
        raise ConfigError.wrong("http.debug.addr", debug.addr, str(error)) from None
    offered = collect(manager, "flaskreg_register_meters", settings=settings)
    meters = (gate.measure, *offered.values())
    pages: dict[str, Page] = {
        "/debug/health": debug_page(lambda: gate.failing),
        "/debug/vars": make_vars_page(settings, meters),
        "/readyz": debug_page(readiness.failing),
        "/healthz": debug_page(dict),
        **collect(
            manager,
            "flaskreg_register_debug_pages",
            settings=settings,
            meters=meters,
        ),
    }
    if debug.prometheus.enabled and debug.prometheus.path not in pages:
        raise ConfigError(
            "http.debug.prometheus.enabled: no installed plugin serves metrics; "
            "try `pip install flaskreg-prometheus`"
        )
    return DebugServer(address, pages)


def _make_observers(
    manager: pluggy.PluginManager, settings: Settings
) -> Sequence[Observer]:
    """Make what looks at each request: the plugins', and the audit log."""
    offered = collect(manager, "flaskreg_register_observers", settings=settings)
    observers: list[Observer] = list(offered.values())
    audit = settings.log.audit
    if audit.path:
        observers.append(AuditLog(audit.path, pulls=audit.pulls))
    return observers


def _make_sinks(
    manager: pluggy.PluginManager, settings: Settings
) -> Sequence[EventSink]:
    """Make who is told what happened.

    :raises ConfigError: endpoints are configured, and no plugin sends anything.
    """
    offered = collect(manager, "flaskreg_register_sinks", settings=settings)
    endpoints = settings.notifications.endpoints
    wanted = any(not endpoint.disabled for endpoint in endpoints)
    if wanted and "notifications" not in offered:
        raise ConfigError(
            "notifications.endpoints: no installed plugin sends events; "
            "try `pip install flaskreg-notifications`"
        )
    return list(offered.values())


def _make_site(
    settings: Settings,
    driver: StorageDriver,
    registry: Any,
    controller: Any,
    observers: Sequence[Observer],
    sinks: Sequence[EventSink],
) -> Site:
    http = settings.http
    secret = http.secret.get_secret_value() if http.secret else ""
    return Site(
        registry=registry,
        controller=controller,
        urls=Urls(
            host=http.host,
            relative=http.relativeurls is not False,
            prefix=http.prefix,
            proxies=TrustedProxies(http.trustedproxies),
        ),
        signer=StateSigner(FixedSecrets(secret) if secret else StoredSecrets(driver)),
        stores_sessions=bool(secret),
        bulk=BulkLimit(http.threads - http.reservedthreads),
        prefix=http.prefix,
        headers=[
            (name, value) for name, values in http.headers.items() for value in values
        ],
        read_only=ReadOnly(
            driver, always=settings.storage.maintenance.readonly.enabled
        ),
        manifest_bytes=settings.manifests.maxbytes,
        catalog_entries=settings.catalog.maxentries,
        tag_entries=settings.tags.maxtags,
        referrer_entries=settings.referrers.maxentries,
        chunk_min_length=settings.uploads.chunkminlength,
        mount_search=settings.uploads.mountsearch,
        idle_timeout=http.idletimeout,
        observers=observers,
        sinks=sinks,
    )
