"""Which tests of a suite a plugin has to pass: those whose abilities it states.

An ability is a class attribute of a suite, such as ``supports_append``. A test that
needs one which the suite of a plugin does not state is deselected, and never skipped: a
run tells how many were left out, and nothing hides among them::

    class MyTests:
        supports_append: bool = True

        @needs("supports_append")
        def test_append(self) -> None: ...

        @lacks("supports_append")
        def test_no_append(self) -> None: ...

The pytest plugin ``flaskreg``, which is loaded wherever flaskreg is installed, does it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar


T = TypeVar("T", bound=Callable[..., Any])

_ATTRIBUTE = "flaskreg_abilities"


class UnknownAbility(LookupError):
    """A test asks for an ability that its suite does not know."""


def needs(*abilities: str) -> Callable[[T], T]:
    """Mark a test, or a suite, that is for those who state *abilities*.

    A suite's mark holds for the tests that the suite has, inherited ones too. A suite
    that is put together from it keeps its other tests. A test that overrides another
    one needs what that one needs, unless its own mark says the opposite.

    :param abilities: names of class attributes of the suite, all of which are true.
    """
    return _mark(dict.fromkeys(abilities, True))


def lacks(*abilities: str) -> Callable[[T], T]:
    """Mark a test, or a suite, that is for those who do not state *abilities*.

    :param abilities: names of class attributes of the suite, all of which are false.
    """
    return _mark(dict.fromkeys(abilities, False))


def is_wanted(suite: type | None, name: str, test: object) -> bool:
    """Return whether a test is for who runs *suite*.

    :param suite: the class that pytest collected; ``None`` for a plain function.
    :param name: of the test's function.
    :param test: the function.
    :raises UnknownAbility: the test asks for what is no attribute of *suite*.
    """
    of_suites: list[tuple[str, bool]] = []
    of_test: dict[str, bool] = {}
    for base in reversed(() if suite is None else suite.__mro__):
        # Suites are put together from parts; what a part needs, its own tests need.
        if hasattr(base, name):
            of_suites += _stated(base).items()
            of_test |= _stated(vars(base).get(name))
    wanted = [*of_suites, *(of_test | _stated(test)).items()]
    place = name if suite is None else f"{suite.__qualname__}.{name}"
    for ability, _ in wanted:
        if not hasattr(suite, ability):
            raise UnknownAbility(f"{place}: no class attribute is named {ability!r}")
    return all(bool(getattr(suite, ability)) == value for ability, value in wanted)


def _mark(wanted: Mapping[str, bool]) -> Callable[[T], T]:
    def mark(test: T) -> T:
        setattr(test, _ATTRIBUTE, {**_stated(test), **wanted})
        return test

    return mark


def _stated(test: object) -> dict[str, bool]:
    """Return the marks of a function or a class itself, none of its bases'."""
    own = getattr(test, "__dict__", {})
    # Hypothesis wraps a test and keeps none of its attributes.
    inner = getattr(own.get("hypothesis"), "inner_test", None)
    beneath = {} if inner is None else _stated(inner)
    return {**beneath, **own.get(_ATTRIBUTE, {})}
