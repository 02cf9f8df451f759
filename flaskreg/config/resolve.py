"""From the tree of a document to plain values that the models validate."""

from __future__ import annotations

from typing import Any

from flaskreg.config.document import Items
from flaskreg.config.document import Map
from flaskreg.config.document import Node
from flaskreg.config.document import Scalar
from flaskreg.config.durations import from_nanoseconds
from flaskreg.config.errors import ConfigError
from flaskreg.config.errors import nearest
from flaskreg.config.origins import Origin
from flaskreg.config.origins import join
from flaskreg.config.section import Choice
from flaskreg.config.section import Section
from flaskreg.config.shapes import ANY
from flaskreg.config.shapes import Kind
from flaskreg.config.shapes import Shape
from flaskreg.config.shapes import iter_keys
from flaskreg.config.shapes import keys


RETIRED = {
    "compatibility": "docker schema 1 is not served",
    "reporting": "nothing is reported to bugsnag or newrelic",
    "redis.pool": "the pool is set by redis.poolsize and its neighbours",
}
"""Keys of distribution 2 that version 3 ignores: they end in a warning."""

SUSPICIOUS = 1_000_000
"""A bare integer of fewer nanoseconds was probably meant in seconds."""


class Resolver:
    """Turns one tree into plain values, and notes where each came from."""

    def __init__(self, model: type[Section]) -> None:
        self._model = model
        self.origins: dict[str, Origin] = {}
        self.warnings: list[str] = []

    def resolve(self, tree: Map) -> dict[str, Any]:
        """Return the plain values of a tree.

        :raises ConfigError: for an unknown key, and for a section that names more
            than one implementation.
        """
        return self._section(tree, self._model, "")

    def _node(self, node: Node, shape: Shape, path: str) -> Any:
        self.origins[path] = node.origin
        if isinstance(node, Scalar) and node.value is None:
            return None
        if shape.model is not None:
            return self._model_of(node, shape.model, path)
        if isinstance(node, Map):
            item = shape.item or ANY
            return {key: self._node(it, item, join(path, key)) for key, it in _of(node)}
        if isinstance(node, Items):
            item = shape.item or ANY
            return [
                self._node(it, item, f"{path}[{number}]")
                for number, it in enumerate(node)
            ]
        return self._scalar(node, shape, path)

    def _scalar(self, node: Scalar, shape: Shape, path: str) -> object:
        if shape.kind in (Kind.LIST, Kind.MAP) and shape.item is not None:
            return self._scalar(node, shape.item, path)
        if shape.kind is Kind.TEXT:
            return node.text
        if shape.kind is Kind.DURATION:
            return self._duration(node, shape, path)
        return node.value

    def _duration(self, node: Scalar, shape: Shape, path: str) -> object:
        value = node.value
        if not shape.bare or isinstance(value, bool) or not isinstance(value, int):
            return node.text
        if 0 < value < SUSPICIOUS:
            self.warnings.append(
                f"{path}: {value} without a unit is {value} nanoseconds: "
                f"write {value}s for seconds"
            )
        return from_nanoseconds(value)

    def _model_of(self, node: Node, model: type[Section], path: str) -> Any:
        if issubclass(model, Choice) and isinstance(node, Scalar):
            chosen = Map(node.origin)
            chosen[node.text] = Scalar("", None, node.origin)
            return self._choice(chosen, model, path)
        if not isinstance(node, Map):
            return self._node(node, ANY, path)
        if issubclass(model, Choice):
            return self._choice(node, model, path)
        return self._section(node, model, path)

    def _section(self, node: Map, model: type[Section], path: str) -> dict[str, Any]:
        known = keys(model)
        values: dict[str, Any] = {}
        for name, child in _of(node):
            key = join(path, name)
            if name in known:
                values[name] = self._node(child, known[name].shape, key)
            elif key in RETIRED:
                self.warnings.append(
                    f"{key}: of distribution 2, has no effect: {RETIRED[key]}"
                )
            else:
                raise self._unknown(key, [join(path, name) for name in known])
        return values

    def _choice(self, node: Map, model: type[Choice], path: str) -> dict[str, Any]:
        known = keys(model)
        free = _without_defaults({k: it for k, it in _of(node) if k not in known})
        if len(free) > 1:
            raise _ambiguous(free, model, path)
        rest = Map(node.origin)
        rest.update((name, it) for name, it in _of(node) if name in known)
        values = self._section(rest, model, path)
        for name, child in free.items():
            values[model.selector] = name
            values["parameters"] = self._parameters(child, join(path, name))
        return values

    def _parameters(self, node: Node, path: str) -> dict[str, Any]:
        parameters = self._node(node, ANY, path)
        if parameters is None:
            return {}
        if not isinstance(parameters, dict):
            raise ConfigError(f"{path}: must be a map of parameters ({node.origin})")
        return parameters

    def _unknown(self, key: str, known: list[str]) -> ConfigError:
        # Perhaps it stands in the wrong section, under its very name.
        last = key.rpartition(".")[2]
        everywhere = (name for name, _key in iter_keys(self._model))
        elsewhere = [it for it in everywhere if it.rpartition(".")[2] == last]
        return ConfigError.unknown(key, elsewhere if len(elsewhere) == 1 else known)


def _of(node: Map) -> list[tuple[str, Node]]:
    return list(node.items())


def _without_defaults(free: dict[str, Node]) -> dict[str, Node]:
    """Drop what only the built-in configuration chose when something else is."""
    given = {name: node for name, node in free.items() if not _built_in(node)}
    return given or free


def _built_in(node: Node) -> bool:
    if node.origin.source != "default":
        return False
    if isinstance(node, Map):
        return all(_built_in(it) for it in node.values())
    return True


def _ambiguous(free: dict[str, Node], model: type[Choice], path: str) -> ConfigError:
    names = sorted(free)
    if path == "storage" and any(_from_environment(it) for it in free.values()):
        return ConfigError(
            "multiple storage drivers specified in configuration or environment: "
            + ", ".join(names)
        )
    message = f"{path}: {model.ambiguous} [{' '.join(names)}]"
    known = keys(model)
    for name in names:
        close = nearest(name, known)
        if close is not None:
            message += f" (did you mean {path}.{close} by {path}.{name}?)"
    return ConfigError(message)


def _from_environment(node: Node) -> bool:
    return node.origin.source == "environment"
