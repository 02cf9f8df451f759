"""The middleware of ``middleware.repository``, around each repository.

It is outermost, so that it sees what clients ask of pull-through caches too.
"""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Mapping

from flaskreg.config import Settings
from flaskreg.config.middleware import Middleware
from flaskreg.defaults.services import pick
from flaskreg.hookspecs import hookimpl
from flaskreg.services import Registry
from flaskreg.servicewrappers import RepositoryMiddleware
from flaskreg.servicewrappers import WrappingRegistry
from flaskreg.servicewrappers import WrapRepository


def _wrap(
    at: int, entry: Middleware, offered: Mapping[str, RepositoryMiddleware]
) -> WrapRepository:
    middleware = pick(f"middleware.repository[{at}]", entry.name, offered)
    return middleware(entry.options)


@hookimpl(wrapper=True, tryfirst=True)
def flaskreg_make_registry(
    settings: Settings, repository_middleware: Mapping[str, RepositoryMiddleware]
) -> Generator[None, Registry, Registry]:
    """Let the registry wrap each repository by each entry, the first one innermost."""
    wraps = [
        _wrap(at, entry, repository_middleware)
        for at, entry in enumerate(settings.middleware.repository)
        if not entry.disabled
    ]
    registry = yield
    return WrappingRegistry(registry, *wraps) if wraps else registry
