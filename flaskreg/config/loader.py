"""Reading the settings: the file, then the environment, then the models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flaskreg.config.document import Map
from flaskreg.config.document import Node
from flaskreg.config.document import Scalar
from flaskreg.config.document import read_document
from flaskreg.config.environment import PATH_VARIABLE
from flaskreg.config.environment import apply_environment
from flaskreg.config.errors import ConfigError
from flaskreg.config.origins import DEFAULT
from flaskreg.config.origins import Origin
from flaskreg.config.origins import dotted
from flaskreg.config.resolve import Resolver
from flaskreg.config.secrets import MASK
from flaskreg.config.secrets import is_secret
from flaskreg.config.secrets import masked
from flaskreg.config.settings import Settings


VERSION = "0.1"
DEFAULT_DRIVER = "filesystem"
DEFAULT_ROOT = "./registry-data"

ALIASES = (
    ((), "loglevel", ("log",), "level"),
    (("storage", "cache"), "layerinfo", ("storage", "cache"), "blobdescriptor"),
)
"""Old names: the section and key that stand for another section and key."""

OLD_NAMES = frozenset(".".join((*path, old)) for path, old, *_new in ALIASES)
"""The dotted old names, which no loaded settings hold."""

_SENTENCES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a map",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a duration, such as 10s or 1h30m",
    "float_type": "must be a duration, such as 10s or 1h30m",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "mapping_type": "must be a map",
    "missing": "is required",
    "model_type": "must be a map of keys",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
}
"""What would be right, by pydantic's type of error."""


def load_settings(
    path: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of a file and the environment.

    Without a path, ``REGISTRY_CONFIGURATION_PATH`` names the file; without either
    the built-in configuration holds: content in ``./registry-data``, port 5000.

    :param path: the file, or None.
    :param environ: the environment; that of the process when None.
    :returns: the settings, with warnings about what in them was not heeded.
    :raises ConfigError: when anything in them is wrong.
    """
    environ = os.environ if environ is None else environ
    path = path or environ.get(PATH_VARIABLE) or None
    warnings: list[str] = []
    tree = _built_in() if path is None else read_document(path, warnings)
    warnings.extend(apply_environment(tree, Settings, environ))
    _check_version(tree)
    _follow_aliases(tree)
    resolver = Resolver(Settings)
    values = resolver.resolve(tree)
    if not _chosen(values):
        raise ConfigError("no storage configuration provided")
    settings = _validated(values, resolver.origins)
    warnings.extend(resolver.warnings)
    return settings.loaded(resolver.origins, tuple(warnings))


def _built_in() -> Map:
    tree, storage, parameters = Map(DEFAULT), Map(DEFAULT), Map(DEFAULT)
    parameters["rootdirectory"] = Scalar(DEFAULT_ROOT, DEFAULT_ROOT, DEFAULT)
    storage[DEFAULT_DRIVER] = parameters
    tree["version"] = Scalar(VERSION, VERSION, DEFAULT)
    tree["storage"] = storage
    return tree


def _chosen(values: dict[str, Any]) -> bool:
    storage = values.get("storage")
    # Anything but a map is left to the models, which say what is wrong with it.
    return "driver" in storage if isinstance(storage, dict) else storage is not None


def _check_version(tree: Map) -> None:
    version = tree.get("version")
    text = version.text if isinstance(version, Scalar) else ""
    if text != VERSION:
        raise ConfigError(
            f'unsupported version: "{text}": version must be {VERSION} '
            f"({tree.origin if version is None else version.origin})"
        )


def _follow_aliases(tree: Map) -> None:
    for old_path, old, path, name in ALIASES:
        section = _section(tree, old_path)
        if section is None or old not in section:
            continue
        node = section.pop(old)
        if path[0] not in tree or _says_nothing(tree[path[0]]):
            tree[path[0]] = Map(node.origin)
        wanted = _section(tree, path)
        if wanted is not None and (name not in wanted or _says_nothing(wanted[name])):
            wanted[name] = node


def _says_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value in (None, "")


def _section(tree: Map, path: tuple[str, ...]) -> Map | None:
    section = tree
    for name in path:
        child = section.get(name)
        if not isinstance(child, Map):
            return None
        section = child
    return section


def _validated(values: dict[str, Any], origins: Mapping[str, Origin]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _translated(error.errors(include_url=False)[0], origins) from None


def _translated(details: ErrorDetails, origins: Mapping[str, Origin]) -> ConfigError:
    """Return pydantic's error as the one line that a person can act on."""
    key = dotted(details["loc"])
    origin = origins.get(key) or origins.get(dotted(details["loc"][:-1]), DEFAULT)
    sentence = _sentence(details)
    value = details["input"]
    if isinstance(value, dict):
        # A whole section is too much to print, and its sentence may name the key.
        message = sentence if sentence.startswith(key) else f"{key}: {sentence}"
    else:
        last = key.rpartition(".")[2]
        shown = MASK if is_secret(last) else masked(value)
        message = str(ConfigError.wrong(key, shown, sentence))
    if origin.source == "environment":
        return ConfigError(f"parsing environment variable {origin}: {message}")
    return ConfigError(f"{message} ({origin})" if origin.place else message)


def _sentence(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    template = _SENTENCES.get(details["type"])
    if template is None:
        return details["msg"]
    return template.format_map(context).replace("'", "")
