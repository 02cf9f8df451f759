"""House rules for names: the middlewares ``naming`` and ``tagging``.

``naming`` stands around the registry and serves only repositories whose names follow a
pattern. ``tagging`` stands around each repository and takes only tags that do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from flaskreg.config import ConfigError
from flaskreg.digest import Digest
from flaskreg.errors import Denied
from flaskreg.errors import NameInvalid
from flaskreg.manifest import Manifest
from flaskreg.services import ManifestServiceOption
from flaskreg.services import ManifestStore
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.servicewrappers import ManifestStoreWrapper
from flaskreg.servicewrappers import RegistryWrapper
from flaskreg.servicewrappers import RepositoryWrapper


class NamingRegistry(RegistryWrapper):
    """Serves the repositories whose names follow a pattern.

    :param pattern: of the whole name.
    """

    def __init__(self, inner: Registry, pattern: re.Pattern[str]) -> None:
        super().__init__(inner)
        self.pattern = pattern

    def repository(self, name: str) -> Repository:
        """Return a repository, or refuse its name."""
        if not self.pattern.fullmatch(name):
            raise NameInvalid({"name": name, "pattern": self.pattern.pattern})
        return self.inner.repository(name)

    def iter_repositories(self, last: str = "") -> Iterator[str]:
        """Leave out of the catalog what is not served."""
        return filter(self.pattern.fullmatch, self.inner.iter_repositories(last))


class TaggingRepository(RepositoryWrapper):
    """Takes manifests with tags that follow a pattern; others can still be pulled.

    :param pattern: of the whole tag.
    """

    def __init__(self, inner: Repository, pattern: re.Pattern[str]) -> None:
        super().__init__(inner)
        self.pattern = pattern

    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, whose tags are looked at."""
        return TaggingManifests(self.inner.manifests(*options), self.pattern)


class TaggingManifests(ManifestStoreWrapper):
    """Looks at the tags of what is pushed."""

    def __init__(self, inner: ManifestStore, pattern: re.Pattern[str]) -> None:
        super().__init__(inner)
        self.pattern = pattern

    def put(
        self,
        content: bytes,
        media_type: str,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        frozen: Collection[str] = (),
    ) -> Manifest:
        """Store a manifest, unless one of its tags is refused."""
        for tag in tags:
            if not self.pattern.fullmatch(tag):
                raise Denied({"tag": tag, "pattern": self.pattern.pattern})
        return self.inner.put(content, media_type, digest, tags, frozen)


def make_naming(registry: Registry, options: Mapping[str, Any]) -> Registry:
    """Wrap the registry."""
    return NamingRegistry(registry, pattern_of("registry[naming]", options))


def make_tagging(options: Mapping[str, Any]) -> Callable[[Repository], Repository]:
    """Return what wraps a repository."""
    pattern = pattern_of("repository[tagging]", options)
    return lambda repository: TaggingRepository(repository, pattern)


def pattern_of(entry: str, options: Mapping[str, Any]) -> re.Pattern[str]:
    """Return the only option of both.

    :raises ConfigError: it is missing or no regular expression, or there is another.
    """
    key = f"middleware.{entry}.options.pattern"
    for name in options.keys() - {"pattern"}:
        raise ConfigError.unknown(f"middleware.{entry}.options.{name}", [key])
    given = options.get("pattern")
    try:
        if not isinstance(given, str) or not given:
            raise ValueError
        return re.compile(given)
    except (re.error, ValueError):
        raise ConfigError.wrong(key, given, "must be a regular expression") from None
