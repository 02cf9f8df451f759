"""The one exception that a wrong configuration raises."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable


_LONGEST_VALUE = 80


class ConfigError(ValueError):
    """A configuration that the registry refuses to start with.

    The message is always one line that names the key, its value and what would be
    right, so that a command can print it as it is.

    :param message: the sentence; line breaks in it become spaces.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))

    @classmethod
    def wrong(cls, key: str, value: object, sentence: str) -> ConfigError:
        """Return the error for a value that does not fit its key.

        :param key: the dotted name of the key.
        :param value: the value as it was given.
        :param sentence: what would be right, as in ``must be true or false``.
        """
        return cls(f"{key}: {shown(value)}: {sentence}")

    @classmethod
    def unknown(cls, key: str, known: Iterable[str]) -> ConfigError:
        """Return the error for a key that nobody reads.

        :param key: the dotted name of the key as it was written.
        :param known: the dotted names of the keys that may stand there.
        """
        names = sorted(known)
        close = nearest(key, names)
        if close is not None:
            return cls(f"unknown key {key}: did you mean {close}?")
        if not names:
            return cls(f"unknown key {key}: no key is known here")
        return cls(f"unknown key {key}: known here: {', '.join(names)}")


def nearest(key: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like a key, or None when none does.

    Only the last part of dotted names is compared, so that a long common beginning
    does not make every sibling look alike.
    """
    by_last = {name.rpartition(".")[2].lower(): name for name in known}
    last = key.rpartition(".")[2].lower()
    close = difflib.get_close_matches(last, by_last, n=1, cutoff=0.6)
    return by_last[close[0]] if close else None


def shown(value: object) -> str:
    """Return a value as it is printed in an error: JSON, cut when it is long."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    if len(text) <= _LONGEST_VALUE:
        return text
    return text[: _LONGEST_VALUE - 3] + "..."
