"""The middleware of ``middleware.repository``, around each repository.

It is outermost, so that it sees what clients ask of pull-through caches too.
"""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.config import Settings
from flaskreg.config.middleware import Middleware
from flaskreg.defaults.services import pick
from flaskreg.hookspecs import hookimpl
from flaskreg.lru import LRU
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.servicewrappers import RegistryWrapper
from flaskreg.servicewrappers import RepositoryMiddleware
from flaskreg.servicewrappers import WrapRepository


#: wrapped repositories that are remembered in a process.
_REPOSITORIES = 4096


class WrappingRegistry(RegistryWrapper):
    """Gives repositories with middleware around them.

    :param inner: gives them without.
    :param wraps: the middleware, the innermost first.
    """

    def __init__(self, inner: Registry, wraps: Sequence[WrapRepository]) -> None:
        super().__init__(inner)
        self._wraps = tuple(wraps)
        self._memory: LRU[str, Repository] = LRU(_REPOSITORIES)

    def repository(self, name: str) -> Repository:
        """Return a repository, remembered when it was asked for before."""
        repository = self._memory.get(name)
        if repository is None:
            repository = self.inner.repository(name)
            for wrap in self._wraps:
                repository = wrap(repository)
            self._memory.set(name, repository)
        return repository


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
    return WrappingRegistry(registry, wraps) if wraps else registry
