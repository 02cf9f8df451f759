"""A value for every key of the models, as it is written and as it is read."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from hypothesis import settings
from pydantic import SecretStr

from flaskreg.config import Settings
from flaskreg.config.shapes import Key
from flaskreg.config.shapes import Kind
from flaskreg.config.shapes import Shape
from flaskreg.config.shapes import iter_keys


PATIENT = settings(deadline=None, database=None)
"""For properties: the machine may be busy, and nothing is left behind."""

SPECIAL: dict[str, tuple[Any, Any]] = {
    "version": ("0.1", "0.1"),
    "loglevel": ("debug", "debug"),
    "log.formatter": ("json", "json"),
    "log.hooks[].levels": (["Error", "panic"], ["error", "panic"]),
    "http.addr": ("127.0.0.1:8080", "127.0.0.1:8080"),
    "http.prefix": ("a/b", "/a/b/"),
    "http.host": ("https://r.example.com", "https://r.example.com"),
    "http.trustedproxies": (["10.0.0.0/8", "unix"], ["10.0.0.0/8", "unix"]),
    "manifests.options": (["a", "b"], ["a", "b"]),
    "proxy.highwater": (90, 90),
    "proxy.lowwater": (80, 80),
    **{
        f"{section}{name}": sample
        for section in ("proxy.", "proxy.upstreams[].")
        for name, sample in {
            "remoteurl": ("https://r.example.com/", "https://r.example.com"),
            "mirrors": (["http://m.example.com:5000"],) * 2,
            "prefix": ("r.example.com/", "r.example.com"),
            "library": (True, True),
        }.items()
    },
}

SIMPLE: dict[Kind, tuple[Any, Any]] = {
    Kind.TEXT: ("some text", "some text"),
    Kind.DURATION: ("90s", 90.0),
    Kind.NUMBER: (7, 7),
    Kind.ANY: ("any", "any"),
}

BESIDE = {
    "http.net": {"addr": "/run/registry.sock"},
    "middleware.registry[].disabled": {"name": "x"},
    "middleware.registry[].options": {"name": "x"},
    "middleware.repository[].disabled": {"name": "x"},
    "middleware.repository[].options": {"name": "x"},
    "middleware.storage[].disabled": {"name": "x"},
    "middleware.storage[].options": {"name": "x"},
}

UPSTREAM = {"prefix": "other", "remoteurl": "https://other.example.com"}
"""What each of ``proxy.upstreams`` must have."""

REQUIRED = {"upstreams[]": UPSTREAM, "prefetch[]": {"images": ["other/app"]}}
"""What must stand in each item of a list."""

"""What must stand beside a key so that it may be set."""

MOVED = {
    "loglevel": "log.level",
    "storage.cache.layerinfo": "storage.cache.blobdescriptor",
}
"""Old names, and where their values are read."""


def leaves() -> Iterator[tuple[str, Key]]:
    """Yield every key that holds a value of its own."""
    for name, key in iter_keys(Settings):
        item = key.shape.item
        if key.shape.kind is not Kind.SECTION and not (item and item.model):
            yield name, key


def sample(name: str, key: Key) -> tuple[Any, Any]:
    """Return a value that is not the default: as written, and as read."""
    if name in SPECIAL:
        return SPECIAL[name]
    if key.shape.kind is Kind.BOOLEAN:
        value = not key.info.default
        return value, value
    literal = _literal(key.info.annotation)
    if literal:
        other = next(it for it in literal if it != key.info.default)
        return other.upper(), other
    return _of_shape(key.shape)


def read(settings: Settings, name: str) -> Any:
    """Return the value of a key, as it is written where the two differ in kind."""
    value: Any = settings
    for part in MOVED.get(name, name).split("."):
        value = getattr(value, "from_" if part == "from" else part.removesuffix("[]"))
        if part.endswith("[]"):
            value = value[0]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if name == "manifests.options":
        return value and [it.name for it in value]
    return value


def nested(name: str, value: Any) -> dict[str, Any]:
    """Return the tree that sets one key, and what must stand beside it."""
    *path, last = name.split(".")
    tree = {**BESIDE.get(name, {}), last: value}
    for part in reversed(path):
        tree = REQUIRED.get(part, {}) | tree
        tree = {part.removesuffix("[]"): [tree] if part.endswith("[]") else tree}
    return tree


def _of_shape(shape: Shape) -> tuple[Any, Any]:
    if shape.item is None:
        return SIMPLE[shape.kind]
    written, expected = _of_shape(shape.item)
    if shape.kind is Kind.LIST:
        return [written] * 2, [expected] * 2
    return {"some-key": written}, {"some-key": expected}


def _literal(annotation: Any) -> tuple[Any, ...]:
    return (
        typing.get_args(annotation)
        if typing.get_origin(annotation) is typing.Literal
        else ()
    )
