"""``REGISTRY_`` variables, written into the tree of the file before it is read.

The rule is distribution's: the name is split at ``_``, each segment names a key (by
its YAML name, or the name of distribution's Go field), a number stands for a place
in a list, and the value is YAML.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

from flaskreg.config.document import Items
from flaskreg.config.document import Map
from flaskreg.config.document import Node
from flaskreg.config.document import Scalar
from flaskreg.config.document import parse_document
from flaskreg.config.errors import ConfigError
from flaskreg.config.origins import Origin
from flaskreg.config.section import Choice
from flaskreg.config.section import Section
from flaskreg.config.shapes import ANY
from flaskreg.config.shapes import Kind
from flaskreg.config.shapes import Shape
from flaskreg.config.shapes import keys


PREFIX = "REGISTRY_"
PATH_VARIABLE = "REGISTRY_CONFIGURATION_PATH"
CLIENTS_VARIABLE = "REGISTRY_AUTH_FILE"
"""Where skopeo, podman and buildah look for credentials; no setting of a registry."""

UNDERSCORED = frozenset(
    {
        "auth_provider_x509_cert_url",
        "auth_uri",
        "client_email",
        "client_id",
        "client_x509_cert_url",
        "max_retries",
        "private_key",
        "private_key_id",
        "project_id",
        "retry_delay",
        "token_uri",
        "universe_domain",
    }
)
"""Parameters of known drivers whose names hold the separator of segments."""


class _Unrecognized(Exception):
    """No setting is behind the name of a variable; it ends in a warning."""


def apply_environment(
    tree: Map, model: type[Section], environ: Mapping[str, str]
) -> list[str]:
    """Write every ``REGISTRY_`` variable into a tree, and return the warnings.

    :param tree: the tree to write into.
    :param model: the model that the tree is meant for.
    :param environ: the environment.
    :raises ConfigError: for a value that is no YAML, or an index past a list's end.
    """
    warnings = []
    if CLIENTS_VARIABLE in environ:
        warnings.append(
            f"Ignoring environment variable {CLIENTS_VARIABLE}, which is for clients"
        )
    for name in sorted(_names(environ), key=_order):
        try:
            _Writer(name, environ[name]).section(tree, model, name.split("_")[1:])
        except _Unrecognized:
            warnings.append(f"Ignoring unrecognized environment variable {name}")
    return warnings


def _names(environ: Mapping[str, str]) -> Iterable[str]:
    return (
        name
        for name in environ
        if name.startswith(PREFIX) and name not in (PATH_VARIABLE, CLIENTS_VARIABLE)
    )


def _order(name: str) -> list[tuple[bool, int, str]]:
    """Sort as distribution does, but the tenth item of a list after the second."""
    return [
        (False, int(part), "") if _is_index(part) else (True, 0, part)
        for part in name.split("_")
    ]


def _is_index(segment: str) -> bool:
    return segment.isascii() and segment.isdigit()


class _Writer:
    """Writes the value of one variable to its place in a tree."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._origin = Origin("environment", name)

    def section(self, tree: Map, model: type[Section], segments: list[str]) -> None:
        if model.inlined and segments[0].upper() == model.inlined and segments[1:]:
            segments = segments[1:]
        wanted = segments[0].upper()
        for key in keys(model).values():
            if wanted in key.segments:
                self._put(tree, key.name, key.shape, segments[1:])
                return
        if not issubclass(model, Choice) or not wanted:
            raise _Unrecognized
        self._map(tree, ANY, segments)

    def _put(self, tree: Map, key: str, shape: Shape, rest: list[str]) -> None:
        if not rest:
            tree[key] = self._value(shape)
            return
        tree[key] = self._below(tree.get(key), shape, rest)

    def _below(self, node: Node | None, shape: Shape, rest: list[str]) -> Node:
        """Return a node, made or changed, with the value at the rest of the way."""
        if shape.kind is Kind.SECTION and shape.model is not None:
            section = self._as_map(node, shape)
            self.section(section, shape.model, rest)
            return section
        if shape.kind is Kind.LIST or isinstance(node, Items):
            items = self._as_items(node)
            self._item(items, shape.item or ANY, rest)
            return items
        if shape.kind in (Kind.MAP, Kind.ANY):
            entries = self._as_map(node, shape)
            self._map(entries, shape.item or ANY, rest)
            return entries
        raise _Unrecognized

    def _map(self, tree: Map, item: Shape, segments: list[str]) -> None:
        key, rest = self._map_key(tree, segments)
        if not key:
            raise _Unrecognized
        self._put(tree, key, item, rest)

    def _map_key(self, tree: Map, segments: list[str]) -> tuple[str, list[str]]:
        """Return the key that segments begin with, and the segments after it.

        The longest name that is there already, or known, wins: it alone makes keys
        reachable that hold the separator themselves.
        """
        there = {key.lower(): key for key in tree}
        for count in range(len(segments), 0, -1):
            name = "_".join(segments[:count]).lower()
            if name in there:
                return there[name], segments[count:]
            if name in UNDERSCORED:
                return name, segments[count:]
        return segments[0].lower(), segments[1:]

    def _item(self, items: Items, item: Shape, segments: list[str]) -> None:
        if not _is_index(segments[0]):
            raise _Unrecognized
        index, rest = int(segments[0]), segments[1:]
        if index > len(items):
            raise self._error(
                f"undefined index {index}: the list has {len(items)} items so far"
            )
        there = items[index] if index < len(items) else None
        node = self._below(there, item, rest) if rest else self._value(item)
        items[index : index + 1] = [node]

    def _as_map(self, node: Node | None, shape: Shape) -> Map:
        if isinstance(node, Map):
            return node
        made = Map(self._origin)
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return made
        if isinstance(node, Scalar) and _is_choice(shape):
            made[node.text] = Scalar("", None, node.origin)
            return made
        raise self._error("what is set there already is not a map")

    def _as_items(self, node: Node | None) -> Items:
        if isinstance(node, Items):
            return node
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return Items(self._origin)
        raise self._error("what is set there already is not a list")

    def _value(self, shape: Shape) -> Node:
        try:
            node = parse_document(self._text, self._name, lambda _line: self._origin)
        except ConfigError:
            if shape.kind is not Kind.TEXT:
                raise self._error("must be YAML; quote what is text") from None
            return Scalar(self._text, self._text, self._origin)
        if shape.kind is Kind.TEXT and not isinstance(node, Scalar):
            return Scalar(self._text, self._text, self._origin)
        return node

    def _error(self, sentence: str) -> ConfigError:
        return ConfigError(f"parsing environment variable {self._name}: {sentence}")


def _is_choice(shape: Shape) -> bool:
    return shape.model is not None and issubclass(shape.model, Choice)
