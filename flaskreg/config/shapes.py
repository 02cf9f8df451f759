"""The shape of the settings as their models declare it.

The environment, the file, the reference page and ``config show`` all walk the same
tree of keys; it is read from the models here, once.
"""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from flaskreg.config.section import Choice
from flaskreg.config.section import Duration
from flaskreg.config.section import GoName
from flaskreg.config.section import Section
from flaskreg.config.section import Untyped


class Kind(enum.Enum):
    """What a value is, as far as reading and printing it goes."""

    SECTION = "section"
    LIST = "list"
    MAP = "map"
    TEXT = "text"
    DURATION = "duration"
    NUMBER = "integer"
    BOOLEAN = "boolean"
    ANY = "any"


@dataclass(frozen=True)
class Shape:
    """The shape of one value.

    :param kind: what it is.
    :param item: the shape of what a list or map holds.
    :param model: the model of a section.
    :param bare: whether a duration may be a bare integer.
    :param secret: whether it is never printed.
    """

    kind: Kind
    item: Shape | None = None
    model: type[Section] | None = None
    bare: bool = False
    secret: bool = False


ANY = Shape(Kind.ANY)
"""The shape of values that somebody else reads."""

_SIMPLE: Mapping[object, Shape] = {
    Any: ANY,
    str: Shape(Kind.TEXT),
    SecretStr: Shape(Kind.TEXT, secret=True),
    bool: Shape(Kind.BOOLEAN),
    int: Shape(Kind.NUMBER),
}


@dataclass(frozen=True)
class Key:
    """One key of a section.

    :param name: as it stands in a file.
    :param attribute: the name of the model's field.
    :param segments: what may stand for it in environment variables.
    :param shape: the shape of its value.
    :param info: the model's field.
    """

    name: str
    attribute: str
    segments: tuple[str, ...]
    shape: Shape
    info: FieldInfo


@functools.cache
def keys(model: type[Section]) -> Mapping[str, Key]:
    """Return the keys that a section has in a file, by name.

    The chosen implementation of a :class:`Choice` is no key: its name is.
    """
    hidden = {model.selector, "parameters"} if issubclass(model, Choice) else set()
    found = (
        _key(attribute, info)
        for attribute, info in model.model_fields.items()
        if attribute not in hidden
    )
    return {key.name: key for key in found}


def iter_keys(model: type[Section], path: str = "") -> Iterator[tuple[str, Key]]:
    """Yield every key below a section with its dotted name, sections included.

    What a list of sections holds is named as in ``log.hooks[].type``.
    """
    for key in keys(model).values():
        name = f"{path}.{key.name}" if path else key.name
        yield name, key
        shape = key.shape
        if shape.kind is Kind.LIST and shape.item is not None:
            name, shape = f"{name}[]", shape.item
        if shape.model is not None:
            yield from iter_keys(shape.model, name)


def shape_of(annotation: Any, metadata: Iterable[Any] = ()) -> Shape:
    """Return the shape that a type annotation declares.

    :raises TypeError: for an annotation that no setting has had so far.
    """
    for marker in metadata:
        if isinstance(marker, Untyped):
            return ANY
        if isinstance(marker, Duration):
            return Shape(Kind.DURATION, bare=marker.bare)
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Shape(Kind.SECTION, model=annotation)
    return _shape_of_generic(annotation)


def _shape_of_generic(annotation: Any) -> Shape:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return shape_of(arguments[0], annotation.__metadata__)
    if origin is typing.Literal:
        return _SIMPLE[str]
    if origin in (typing.Union, types.UnionType):
        return shape_of(next(it for it in arguments if it is not types.NoneType))
    if origin is list:
        return Shape(Kind.LIST, item=shape_of(arguments[0]))
    if origin in (dict, Mapping):
        return Shape(Kind.MAP, item=shape_of(arguments[1]))
    raise TypeError(f"no shape for {annotation!r}")


def _key(attribute: str, info: FieldInfo) -> Key:
    name = info.alias or attribute
    go_names = [it.name for it in info.metadata if isinstance(it, GoName)]
    return Key(
        name=name,
        attribute=attribute,
        segments=(*go_names, name.upper()),
        shape=shape_of(info.annotation, info.metadata),
        info=info,
    )
