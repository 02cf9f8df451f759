"""Keys that are accepted although their feature comes later.

The table shrinks as features land; nothing else has to change then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from pydantic import BaseModel


if TYPE_CHECKING:
    from flaskreg.config.settings import Settings


def _never(_settings: Settings) -> bool:
    return False


@dataclass(frozen=True)
class Later:
    """One key, or section of keys, that has no effect yet.

    :param key: its dotted name.
    :param sentence: what does not happen.
    :param harmless: whether what is set asks for nothing that is missing; it is
        called only when the key is set to something other than its default.
    """

    key: str
    sentence: str
    harmless: Callable[[Settings], bool] = _never


LATER = (
    Later("http.tls.letsencrypt", "no certificate is asked for"),
    Later("http.h2c", "HTTP/2 is not spoken"),
)
"""Every key that has no effect yet."""


def later(settings: Settings) -> list[str]:
    """Return one line for each key of the table that the settings set."""
    return [
        f"{entry.key}: accepted, but has no effect yet: {entry.sentence}"
        for entry in LATER
        if _set(settings, entry.key) and not entry.harmless(settings)
    ]


def entry_for(key: str) -> Later | None:
    """Return the entry that a key falls under, the closest one, or None."""
    name = key.replace("[]", "")
    matching = [it for it in LATER if f"{name}.".startswith(f"{it.key}.")]
    return max(matching, key=lambda it: len(it.key), default=None)


def _set(settings: BaseModel, key: str) -> bool:
    value: Any = settings
    for name in key.split("."):
        if name not in value.model_fields_set:
            return False
        owner, value = value, getattr(value, name)
    default = type(owner).model_fields[name].get_default(call_default_factory=True)
    return bool(value != default)
