"""Methods that a wrapper hands on to what it wraps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import TypeVar


T = TypeVar("T", bound=type)


def forwarding(contract: type) -> Callable[[T], T]:
    """Let a class forward every method of a contract that it does not define.

    The defaults of a contract are for those that have nothing better, which a wrapper
    cannot know of: a method that is added to it later is forwarded too.

    :param contract: whose methods they are; the class has what it wraps as ``inner``.
    """

    def forward(cls: T) -> T:
        for name, value in vars(contract).items():
            if callable(value) and not name.startswith("_") and name not in vars(cls):
                setattr(cls, name, _forward(name, value))
        return cls

    return forward


def _forward(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.inner, name)(*args, **kwargs)

    forward.__name__, forward.__doc__ = name, method.__doc__
    return forward
