"""Options of an entry, read one at a time; each error names where it stands."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from flaskreg.config import ConfigError


class Options:
    """The ``options`` of one entry of ``middleware.storage``.

    :param name: of the middleware, for errors.
    :param given: the options.
    :param known: the names that may stand there.
    :raises ConfigError: there is another one.
    """

    def __init__(
        self, name: str, given: Mapping[str, Any], known: Collection[str]
    ) -> None:
        self._place = f"middleware.storage[{name}].options"
        self._given = given
        for key in given.keys() - set(known):
            names = [f"{self._place}.{each}" for each in known]
            raise ConfigError.unknown(f"{self._place}.{key}", names)

    def text(self, key: str, default: str | None = None) -> str:
        """Return printable text.

        :param default: what an option that is not set is; ``None``: it has to be.
        :raises ConfigError: it is none, or is missing.
        """
        value = self._given.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise self.wrong(key, "must be text")
        return value

    def texts(self, key: str, default: Collection[str]) -> list[str]:
        """Return a list of texts.

        :raises ConfigError: it is none.
        """
        value = self._given.get(key)
        if value is None:
            return list(default)
        if not isinstance(value, list) or not all(isinstance(it, str) for it in value):
            raise self.wrong(key, "must be a list of text")
        return value

    def wrong(self, key: str, sentence: str) -> ConfigError:
        """Return the error for the value of an option."""
        return ConfigError.wrong(f"{self._place}.{key}", self._given.get(key), sentence)
