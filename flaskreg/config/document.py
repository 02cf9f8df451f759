"""YAML documents as trees that remember where each value stands.

Scalars keep the text they were written as: ``password: 0123`` is text for whoever
wants text, and a number for whoever wants a number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from flaskreg.config.errors import ConfigError
from flaskreg.config.origins import Origin


_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_AS_WRITTEN = (_TAG + "str", _TAG + "timestamp")
_NUMBERS = (_TAG + "int", _TAG + "float")


@dataclass(frozen=True)
class Scalar:
    """One value that is neither map nor list.

    :param text: the value as it was written, without quotes.
    :param value: the value as YAML 1.1 types it.
    :param origin: where it was written.
    """

    text: str
    value: object
    origin: Origin


class Map(dict[str, "Node"]):
    """A map that remembers where it was written; its keys are always text."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self.origin = origin


class Items(list["Node"]):
    """A list that remembers where it was written."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self.origin = origin


Node = Scalar | Map | Items


def read_document(path: str | os.PathLike[str], warnings: list[str]) -> Map:
    """Return the map that a YAML file holds.

    Of a key that stands twice the last one holds, as in distribution.

    :param warnings: told of each such key.
    :raises ConfigError: when it cannot be read, is no YAML, or is no map.
    """
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: must be a YAML file in UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{name}: cannot be read: {reason}") from None
    tree = parse_document(
        text, name, lambda line: Origin("file", f"{name}:{line}"), warnings
    )
    if not isinstance(tree, Map):
        raise ConfigError(
            f'{name}: must be a map of keys that begins with "version: 0.1"'
        )
    return tree


def parse_document(
    text: str,
    name: str,
    origin: Callable[[int], Origin],
    warnings: list[str] | None = None,
) -> Node:
    """Return the tree that YAML text holds; no document at all is a null.

    :param text: the YAML.
    :param name: what the text is called in errors.
    :param origin: turns a line number into an origin.
    :param warnings: told of a key that stands twice; ``None`` refuses it.
    :raises ConfigError: naming line and problem when the text is no YAML.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        return _Builder(loader, name, origin, warnings).build(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{name}:{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None


class _Builder:
    """Builds the tree of one document out of PyYAML's nodes."""

    def __init__(
        self,
        loader: yaml.SafeLoader,
        name: str,
        origin: Callable[[int], Origin],
        warnings: list[str] | None,
    ) -> None:
        self._warnings = warnings
        self._loader = loader
        self._name = name
        self._origin = origin
        self._flattened: set[int] = set()
        self._above: list[int] = []

    def build(self, node: yaml.Node | None) -> Node:
        if node is None:
            return Scalar("", None, self._origin(1))
        if isinstance(node, yaml.ScalarNode):
            return Scalar(node.value, self._value(node), self._origin(_line(node)))
        if id(node) in self._above:
            raise self._error(node, "an alias must not stand inside its anchor")
        self._above.append(id(node))
        built = self._build_collection(node)
        self._above.pop()
        return built

    def _build_collection(self, node: yaml.Node) -> Map | Items:
        if isinstance(node, yaml.SequenceNode):
            items = Items(self._origin(_line(node)))
            items.extend(self.build(child) for child in node.value)
            return items
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "must be a map, a list or a value")
        if id(node) not in self._flattened:
            self._flattened.add(id(node))
            self._look_for_duplicates(node)
            self._loader.flatten_mapping(node)
        built = Map(self._origin(_line(node)))
        built.update((key.value, self.build(child)) for key, child in node.value)
        return built

    def _look_for_duplicates(self, node: yaml.MappingNode) -> None:
        lines: dict[str, int] = {}
        for key, _child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key must be text")
            if key.tag == _MERGE:
                continue
            if key.value in lines:
                sentence = f"key {key.value} is already on line {lines[key.value]}"
                error = self._error(key, sentence)
                if self._warnings is None:
                    raise error
                self._warnings.append(f"{error}; the last one holds")
            lines[key.value] = _line(key)

    def _value(self, node: yaml.ScalarNode) -> object:
        # YAML 1.1 reads 22:30 as the number 1350, which nobody means in settings.
        if node.tag in _AS_WRITTEN or (node.tag in _NUMBERS and ":" in node.value):
            return node.value
        try:
            return self._loader.construct_object(node)
        except ValueError:
            tag = node.tag.removeprefix(_TAG)
            raise self._error(node, f"{node.value} is no {tag}") from None

    def _error(self, node: yaml.Node, sentence: str) -> ConfigError:
        return ConfigError(f"{self._name}:{_line(node)}: {sentence}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
