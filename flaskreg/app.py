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

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.defaults.manifestoptions import STANDARD_ORDER
from flaskreg.defaults.services import pick
from flaskreg.driver import StorageDriver
from flaskreg.manifest import ManifestOption
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


class RegistryApp(Flask):
    """Flask, with the read lane before it.

    :param site: what is served.
    :param driver: where it is kept.
    """

    def __init__(self, site: Site, driver: StorageDriver) -> None:
        super().__init__("flaskreg", static_folder=None)
        self.site = site
        self.driver = driver
        #: what goes on beside requests in one thread each, until told to stop.
        self.background: list[Callable[[threading.Event], None]] = []
        self.register_blueprint(make_blueprint(site))

    def check_storage(self) -> None:
        """See that the storage can be used, by writing to it unless it is read-only.

        :raises DriverError: it cannot.
        :raises OSError: likewise.
        """
        if self.site.read_only():
            self.driver.list("/")
            return
        probe = f"/flaskreg/probes/{uuid.uuid4()}"
        self.driver.put_content(probe, b"", durable=False)
        self.driver.delete(probe, durable=False)

    def start_background(self) -> threading.Event:
        """Start what goes on beside requests; called once in each worker process.

        :returns: what stops it when it is set.
        """
        stop = threading.Event()
        for run in self.background:
            threading.Thread(target=run, args=(stop,), daemon=True).start()
        return stop

    def wsgi_app(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request, from the lane when it can."""
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
    if socket is not None and seconds:
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
    for line in (*settings.warnings, *settings.later()):
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
    site = _make_site(settings, driver, registry, controller)
    app = RegistryApp(site, driver)
    purging = settings.storage.maintenance.uploadpurging
    if purging.enabled:
        purger = Purger(
            driver,
            age=purging.age,
            interval=purging.interval,
            dry_run=purging.dryrun,
            paused=site.read_only,
        )
        app.background.append(purger.run)
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
        settings=settings, drivers=collect(manager, "flaskreg_register_drivers")
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
        cache=hook.flaskreg_make_cache(
            settings=settings, caches=collect(manager, "flaskreg_register_caches")
        ),
        manifest_types=collect(manager, "flaskreg_register_manifest_types"),
        manifest_options=_make_options(manager, settings),
        hook=hook,
    )
    return registry


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


def _make_site(
    settings: Settings, driver: StorageDriver, registry: Any, controller: Any
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
    )
