"""``flaskreg plugins``: what is installed, what each offers, and what is used."""

from __future__ import annotations

from collections.abc import Iterable

import click
import pluggy
from rich.console import Console
from rich.table import Table

from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.config.middleware import Middleware
from flaskreg.defaults.distributions import distribution_of
from flaskreg.defaults.manifestoptions import STANDARD_ORDER
from flaskreg.plugins import DEFAULT_PLUGINS
from flaskreg.plugins import installed
from flaskreg.plugins import make_plugin_manager
from flaskreg.plugins import offers


#: the register hooks, by the word for what they offer.
_KINDS = {
    "driver": "flaskreg_register_drivers",
    "storage middleware": "flaskreg_register_storage_middleware",
    "registry middleware": "flaskreg_register_registry_middleware",
    "repository middleware": "flaskreg_register_repository_middleware",
    "cache": "flaskreg_register_caches",
    "access controller": "flaskreg_register_access_controllers",
    "manifest type": "flaskreg_register_manifest_types",
    "manifest option": "flaskreg_register_manifest_options",
}


@click.command()
@click.argument(
    "configuration", required=False, type=click.Path(dir_okay=False), metavar="[FILE]"
)
def plugins(configuration: str | None) -> None:
    """List the plugins, what each offers, and what the configuration uses."""
    settings = load_settings(configuration)
    manager = make_plugin_manager(settings.plugins.disabled)
    versions = {
        each.name: f"{each.dist.name} {each.dist.version}" if each.dist else ""
        for each in installed()
    }
    table = Table("plugin", "from", "offers", box=None, pad_edge=False)
    for name, lines in sorted(_offered(manager, settings).items()):
        origin = "flaskreg" if name in DEFAULT_PLUGINS else versions.get(name, "")
        table.add_row(name, origin, "\n".join(lines))
    for name, lines in _missing(manager, settings).items():
        table.add_row(name, f"pip install {name}", "\n".join(lines))
    for blocked in settings.plugins.disabled:
        table.add_row(blocked, versions.get(blocked, ""), "(disabled)")
    Console(highlight=False).print(table)


def _offered(manager: pluggy.PluginManager, settings: Settings) -> dict[str, list[str]]:
    used = _used(settings)
    found: dict[str, list[str]] = {
        name: [] for name, plugin in manager.list_name_plugin() if plugin is not None
    }
    for kind, hook in _KINDS.items():
        for giver, mapping in offers(manager, hook):
            for name in mapping:
                mark = " (used)" if name in used.get(kind, mapping) else ""
                found[giver].append(f"{kind} {name}{mark}")
    for giver, module in manager.list_name_plugin():
        for caller in manager.get_hookcallers(module) or ():
            if caller.name.startswith("flaskreg_make_"):
                what = caller.name.removeprefix("flaskreg_make_").replace("_", " ")
                found[giver].append(f"makes the {what}")
    return found


def _missing(manager: pluggy.PluginManager, settings: Settings) -> dict[str, list[str]]:
    """Return what the configuration uses and no plugin offers, by its distribution."""
    found: dict[str, list[str]] = {}
    used = _used(settings)
    for kind, hook in _KINDS.items():
        offered = {name for _, mapping in offers(manager, hook) for name in mapping}
        for name in dict.fromkeys(used.get(kind, ())):
            if name not in offered:
                distribution = distribution_of(name)
                line = f"{kind} {name} (used, missing)"
                found.setdefault(distribution, []).append(line)
    return found


def _used(settings: Settings) -> dict[str, tuple[str, ...]]:
    entries = settings.manifests.options
    names = STANDARD_ORDER if entries is None else tuple(each.name for each in entries)
    return {
        "driver": (settings.storage.driver,),
        "storage middleware": _enabled(settings.middleware.storage),
        "registry middleware": _enabled(settings.middleware.registry),
        "repository middleware": _enabled(settings.middleware.repository),
        "cache": (settings.storage.cache.blobdescriptor or "none",),
        "access controller": (settings.auth.controller,),
        "manifest option": names,
    }


def _enabled(entries: Iterable[Middleware]) -> tuple[str, ...]:
    return tuple(each.name for each in entries if not each.disabled)
