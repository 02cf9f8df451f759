"""The plugin manager: what is found, in which order, and what it offers."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points
from typing import Any

import pluggy

from flaskreg import hookspecs


#: the group of entry points under which plugins are installed.
GROUP = "flaskreg"

#: the core's own parts, which are plugins like any other.
DEFAULT_PLUGINS = (
    "flaskreg.defaults.filesystem",
    "flaskreg.defaults.inmemory",
    "flaskreg.defaults.storagemiddleware",
    "flaskreg.defaults.registrymiddleware",
    "flaskreg.defaults.repositorymiddleware",
    "flaskreg.defaults.memorycache",
    "flaskreg.defaults.open_access",
    "flaskreg.defaults.ocimanifests",
    "flaskreg.defaults.dockermanifests",
    "flaskreg.defaults.manifestoptions",
    "flaskreg.defaults.certificates",
    "flaskreg.defaults.services",
)


class PluginError(ValueError):
    """The plugins that are installed do not go together; one line says why."""


def make_plugin_manager(
    disabled: Iterable[str] = (),
    plugins: Iterable[object] = (),
    *,
    discover: bool = True,
) -> pluggy.PluginManager:
    """Return a manager with the defaults, the installed plugins and *plugins*.

    Installed plugins are taken in the order of their names, whatever the order on disk.

    :param disabled: names of plugins that are not even imported.
    :param plugins: further plugin objects or modules.
    :param discover: whether installed plugins are looked for.
    :raises PluginError: two plugins have one name, one cannot be imported, or one
        implements a hook that does not exist or does not have its arguments.
    """
    manager = pluggy.PluginManager("flaskreg")
    manager.add_hookspecs(hookspecs)
    blocked = set(disabled)
    try:
        for name in DEFAULT_PLUGINS:
            if name.rpartition(".")[2] not in blocked:
                manager.register(importlib.import_module(name), name)
        if discover:
            for entry_point in installed():
                if entry_point.name not in blocked:
                    _load(manager, entry_point)
        for plugin in plugins:
            manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(" ".join(str(error).split())) from None
    return manager


def installed() -> list[EntryPoint]:
    """Return the entry points of installed plugins, by name.

    :raises PluginError: two distributions offer plugins of one name.
    """
    found: dict[str, EntryPoint] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        other = found.setdefault(entry_point.name, entry_point)
        if other.value != entry_point.value:
            raise PluginError(
                f"two plugins are named {entry_point.name!r}: "
                f"{_origin(other)} and {_origin(entry_point)}"
            )
    return list(found.values())


def _origin(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else entry_point.value


def _load(manager: pluggy.PluginManager, entry_point: EntryPoint) -> None:
    try:
        plugin = entry_point.load()
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"plugin {entry_point.name!r} of {_origin(entry_point)} "
            f"cannot be loaded: {error}"
        ) from error
    manager.register(plugin, entry_point.name)


def collect(
    manager: pluggy.PluginManager, hook: str, **arguments: Any
) -> Mapping[str, Any]:
    """Return what all plugins offer by a register hook.

    :param arguments: of the hook.
    :raises PluginError: two plugins offer one name.
    """
    offered: dict[str, Any] = {}
    givers: dict[str, str] = {}
    for plugin, mapping in offers(manager, hook, **arguments):
        for name, factory in mapping.items():
            if name in offered:
                what = hook.removeprefix("flaskreg_register_").replace("_", " ")
                raise PluginError(
                    f"{what}: {name!r} is offered by {givers[name]} and by {plugin}"
                )
            offered[name] = factory
            givers[name] = plugin
    return offered


def offers(
    manager: pluggy.PluginManager, hook: str, **arguments: Any
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield each plugin's name with what it offers by a register hook."""
    caller = getattr(manager.hook, hook)
    for implementation in caller.get_hookimpls():
        wanted = {name: arguments[name] for name in implementation.argnames}
        yield implementation.plugin_name, implementation.function(**wanted)
