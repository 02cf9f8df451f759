"""Every hook of flaskreg, in the order of its life.

*register* hooks are collected: each returns a mapping of names to factories, and a
name that two plugins offer is an error that names both. *make* hooks stop at the first
result that is not ``None``; the core's own implementation comes last and takes what
the configuration names. Middleware is a ``wrapper=True`` implementation of a make hook.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy


if TYPE_CHECKING:
    import click
    from flask import Blueprint

    from flaskreg.access import AccessController
    from flaskreg.access import AccessControllerFactory
    from flaskreg.cache import CacheFactory
    from flaskreg.cache import DescriptorCache
    from flaskreg.config import Settings
    from flaskreg.driver import DriverFactory
    from flaskreg.driver import StorageDriver
    from flaskreg.driver import StorageMiddleware
    from flaskreg.events import EventSink
    from flaskreg.manifest import ManifestOption
    from flaskreg.manifest import ManifestOptionFactory
    from flaskreg.manifest import ManifestType
    from flaskreg.measurement import Meter
    from flaskreg.observer import Observer
    from flaskreg.servertls import ServerTls
    from flaskreg.services import Registry
    from flaskreg.services import Repository
    from flaskreg.servicewrappers import RegistryMiddleware
    from flaskreg.servicewrappers import RepositoryMiddleware


hookspec = pluggy.HookspecMarker("flaskreg")
hookimpl = pluggy.HookimplMarker("flaskreg")


# The server, before there is an application


@hookspec(firstresult=True)
def flaskreg_make_tls(settings: Settings, protocols: Sequence[str]) -> ServerTls | None:
    """Make what encrypts the connections of the server.

    Called when gunicorn starts, and again when it reads its configuration anew, if
    ``http.tls`` asks for TLS. Stops at the first result that is not ``None``; the
    core's implementation comes last and reads the files of the configuration.
    :class:`~flaskreg.config.ConfigError` keeps the server from starting.

    :param settings: the settings of the server.
    :param protocols: offered by ALPN, the best first.
    :returns: what gives connections their contexts, or ``None`` to leave it to the
        next implementation.
    """


# Registration: what a plugin offers, by name


@hookspec
def flaskreg_register_drivers() -> Mapping[str, DriverFactory]:  # type: ignore[empty-body]
    """Offer storage drivers.

    Called once for each application, before anything is made. Results are collected.

    :returns: storage driver factories by the name that ``storage`` of the
        configuration uses. A factory takes the driver's own parameters, raises
        :class:`~flaskreg.config.ConfigError` for one that it does not know, and does
        no I/O.
    """


@hookspec
def flaskreg_register_storage_middleware() -> Mapping[str, StorageMiddleware]:  # type: ignore[empty-body]
    """Offer storage middleware.

    Called once for each application, before anything is made. Results are collected.

    :returns: callables by the name that an entry of ``middleware.storage`` of the
        configuration uses. Each takes a driver and the entry's ``options``, and
        returns a driver around it; it raises
        :class:`~flaskreg.config.ConfigError` for an option that it does not know, and
        does no I/O.
    """


@hookspec
def flaskreg_register_registry_middleware() -> Mapping[str, RegistryMiddleware]:  # type: ignore[empty-body]
    """Offer registry middleware.

    Called once for each application, before anything is made. Results are collected.

    :returns: callables by the name that an entry of ``middleware.registry`` of the
        configuration uses. Each takes a registry and the entry's ``options``, and
        returns a registry around it; it raises
        :class:`~flaskreg.config.ConfigError` for an option that it does not know, and
        does no I/O.
    """


@hookspec
def flaskreg_register_repository_middleware() -> Mapping[str, RepositoryMiddleware]:  # type: ignore[empty-body]
    """Offer repository middleware.

    Called once for each application, before anything is made. Results are collected.

    :returns: callables by the name that an entry of ``middleware.repository`` of the
        configuration uses. Each takes the entry's ``options`` when the application is
        made, raises :class:`~flaskreg.config.ConfigError` for one that it does not
        know, does no I/O, and returns what wraps each repository when it is used.
    """


@hookspec
def flaskreg_register_caches() -> Mapping[str, CacheFactory]:  # type: ignore[empty-body]
    """Offer descriptor caches.

    Called once for each application, before anything is made. Results are collected.

    :returns: cache factories by the name that ``storage.cache.blobdescriptor`` of the
        configuration uses. A factory does no I/O.
    """


@hookspec
def flaskreg_register_access_controllers() -> Mapping[str, AccessControllerFactory]:  # type: ignore[empty-body]
    """Offer access controllers.

    Called once for each application, before anything is made. Results are collected.

    :returns: access controller factories by the name that ``auth`` of the
        configuration uses. A factory takes the controller's own parameters.
    """


@hookspec
def flaskreg_register_manifest_types() -> Mapping[str, ManifestType]:  # type: ignore[empty-body]
    """Offer manifest types.

    Called once for each application, before anything is made. Results are collected.

    :returns: manifest types by their media type.
    """


@hookspec
def flaskreg_register_manifest_options() -> Mapping[str, ManifestOptionFactory]:  # type: ignore[empty-body]
    """Offer manifest options.

    Called once for each application, before anything is made. Results are collected.

    :returns: manifest option factories by the name that ``manifests.options`` of the
        configuration uses. A factory takes the option's own parameters and all of the
        settings.
    """


@hookspec
def flaskreg_register_commands() -> Mapping[str, click.Command]:  # type: ignore[empty-body]
    """Offer commands of ``flaskreg``.

    Called when the command line is read. Results are collected.

    :returns: click commands or groups by their names.
    """


# Construction: what the application is made of


@hookspec(firstresult=True)
def flaskreg_make_driver(
    settings: Settings,
    drivers: Mapping[str, DriverFactory],
    middleware: Mapping[str, StorageMiddleware],
) -> StorageDriver | None:
    """Make the storage driver.

    Called once for each application. Stops at the first result that is not ``None``;
    the core's implementation comes last. The core's own wrapper puts the middleware
    of the configuration around what was made, in its order; a wrapper of a plugin
    stands outside of that.

    :param settings: the settings of the application.
    :param drivers: every registered factory, by name.
    :param middleware: every registered storage middleware, by name.
    :returns: the driver, or ``None`` to leave it to the next implementation.
    """


@hookspec(firstresult=True)
def flaskreg_make_cache(
    settings: Settings, caches: Mapping[str, CacheFactory]
) -> DescriptorCache | None:
    """Make the descriptor cache.

    Called once for each application. Stops at the first result that is not ``None``;
    the core's implementation comes last.

    :param settings: the settings of the application.
    :param caches: every registered factory, by name.
    :returns: the cache, or ``None`` to leave it to the next implementation.
    """


@hookspec(firstresult=True)
def flaskreg_make_access_controller(
    settings: Settings, controllers: Mapping[str, AccessControllerFactory]
) -> AccessController | None:
    """Make the access controller.

    Called once for each application. Stops at the first result that is not ``None``;
    the core's implementation comes last. A wrapper can add to any controller.

    :param settings: the settings of the application.
    :param controllers: every registered factory, by name.
    :returns: the controller, or ``None`` to leave it to the next implementation.
    """


@hookspec(firstresult=True)
def flaskreg_make_registry(
    settings: Settings,
    driver: StorageDriver,
    cache: DescriptorCache,
    manifest_types: Mapping[str, ManifestType],
    manifest_options: Sequence[ManifestOption],
    registry_middleware: Mapping[str, RegistryMiddleware],
    repository_middleware: Mapping[str, RepositoryMiddleware],
    hook: pluggy.HookRelay,
) -> Registry | None:
    """Make the registry.

    Called once for each application. Stops at the first result that is not ``None``;
    the core's implementation comes last. The core's own wrappers put the middleware of
    the configuration around what was made, each list in its order. A wrapper of a
    plugin, such as a pull-through cache, stands outside of that for the registry, and
    within that for repositories.

    :param settings: the settings of the application.
    :param driver: the storage driver that was made.
    :param cache: the descriptor cache that was made.
    :param manifest_types: every registered manifest type, by media type.
    :param manifest_options: the configured manifest options, in their order.
    :param registry_middleware: every registered registry middleware, by name.
    :param repository_middleware: every registered repository middleware, by name.
    :param hook: calls further hooks; the registry makes its repositories by it.
    :returns: the registry, or ``None`` to leave it to the next implementation.
    """


@hookspec(firstresult=True)
def flaskreg_make_repository(registry: Registry, name: str) -> Repository | None:
    """Make one repository of a registry.

    Called when a repository is first used in a worker process, and again when it was
    forgotten meanwhile; repositories hold no state. Stops at the first result that is
    not ``None``; the core's implementation comes last.

    :param registry: the registry that asks.
    :param name: the name, already parsed and within the scope.
    :returns: the repository, or ``None`` to leave it to the next implementation.
    """


@hookspec
def flaskreg_register_blueprints(  # type: ignore[empty-body]
    settings: Settings, registry: Registry, controller: AccessController
) -> Mapping[str, Blueprint]:
    """Offer blueprints: further endpoints beside the API.

    Called once for each application, when everything is made. Results are collected.

    :param settings: the settings of the application.
    :param registry: the registry that was made.
    :param controller: the access controller that was made.
    :returns: Flask blueprints by the path below which they are mounted, such as
        ``/auth``; never below ``/v2``.
    """


@hookspec
def flaskreg_register_observers(settings: Settings) -> Mapping[str, Observer]:  # type: ignore[empty-body]
    """Offer observers of requests.

    Called once for each application. Results are collected. Without an observer a
    request costs nothing more.

    :param settings: the settings of the application.
    :returns: observers by names of their own; an empty mapping when the settings ask
        for none.
    """


@hookspec
def flaskreg_register_sinks(settings: Settings) -> Mapping[str, EventSink]:  # type: ignore[empty-body]
    """Offer sinks of events.

    Called once for each application. Results are collected.

    :param settings: the settings of the application.
    :returns: sinks by names of their own; who offers ``notifications`` serves the
        endpoints of that section. An empty mapping when nobody wants to be told.
    """


@hookspec
def flaskreg_register_meters(settings: Settings) -> Mapping[str, Meter]:  # type: ignore[empty-body]
    """Offer numbers that a metrics page shows.

    Called once for each application. Results are collected.

    :param settings: the settings of the application.
    :returns: meters by names of their own. Each is called in one process of the server
        when somebody looks, and tells of all processes.
    """


@hookspec
def flaskreg_register_debug_pages(  # type: ignore[empty-body]
    settings: Settings, meters: Sequence[Meter]
) -> Mapping[str, Callable[..., Iterable[bytes]]]:
    """Offer pages of the debug server.

    Called once for each application. Results are collected.

    :param settings: the settings of the application.
    :param meters: every registered meter, and those of the core.
    :returns: WSGI applications by the exact path that each answers, such as
        ``/metrics``; they are called in one process of the server, in any thread.
    """
