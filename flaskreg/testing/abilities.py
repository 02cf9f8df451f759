"""Which tests of a suite a plugin has to pass: those whose abilities it states.

An ability is a class attribute of a suite, such as ``supports_append``. A test that
needs one which the suite of a plugin does not state is deselected, and never skipped: a
run tells how many were left out, and nothing hides among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import TypeVar


T = TypeVar("T", bound=Callable[..., Any])

_ATTRIBUTE = "flaskreg_abilities"


def needs(*abilities: str) -> Callable[[T], T]:
    """Mark a test, or a suite, that is for those who state *abilities*."""
    return _mark(dict.fromkeys(abilities, True))


def lacks(*abilities: str) -> Callable[[T], T]:
    """Mark a test, or a suite, that is for those who do not state *abilities*."""
    return _mark(dict.fromkeys(abilities, False))


def _mark(wanted: dict[str, bool]) -> Callable[[T], T]:
    def mark(test: T) -> T:
        known = getattr(test, _ATTRIBUTE, {})
        setattr(test, _ATTRIBUTE, {**known, **wanted})
        return test

    return mark


def is_wanted(suite: type | None, test: Callable[..., Any]) -> bool:
    """Whether *test* is for who runs *suite*; a plain function always is."""
    if suite is None:
        return True
    wanted: dict[str, bool] = {}
    for base in reversed(suite.__mro__):
        # Suites are put together from parts; what a part needs, its own tests need.
        if test.__name__ in vars(base):
            wanted.update(vars(base).get(_ATTRIBUTE, {}))
    wanted.update(getattr(test, _ATTRIBUTE, {}))
    return all(
        bool(getattr(suite, ability, False)) == value
        for ability, value in wanted.items()
    )
