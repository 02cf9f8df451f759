"""The middleware of ``middleware.registry``, around the registry of this storage.

A pull-through cache stands outside of it, as in distribution.
"""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Mapping

from flaskreg.config import Settings
from flaskreg.defaults.services import pick
from flaskreg.hookspecs import hookimpl
from flaskreg.services import Registry
from flaskreg.servicewrappers import RegistryMiddleware


@hookimpl(wrapper=True)
def flaskreg_make_registry(
    settings: Settings, registry_middleware: Mapping[str, RegistryMiddleware]
) -> Generator[None, Registry, Registry]:
    """Wrap the registry by each entry, the first one innermost."""
    registry = yield
    for at, entry in enumerate(settings.middleware.registry):
        if not entry.disabled:
            key = f"middleware.registry[{at}]"
            wrap = pick(key, entry.name, registry_middleware)
            registry = wrap(registry, entry.options)
    return registry
