"""Every key of the models can be set, by the file and by the environment."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import yaml

from flaskreg.config import Settings
from flaskreg.config.shapes import Key
from flaskreg.config.shapes import Kind
from flaskreg.config.shapes import iter_keys

from .conftest import Load
from .samples import BESIDE
from .samples import REQUIRED
from .samples import leaves
from .samples import nested
from .samples import read
from .samples import sample


LEAVES = list(leaves())
NAMES = [name for name, _key in LEAVES]
FILE = {"version": 0.1, "storage": {"inmemory": {}}}


def merged(tree: dict[str, Any]) -> str:
    storage = {**FILE["storage"], **tree.get("storage", {})}
    return yaml.safe_dump({**FILE, **tree, "storage": storage})


def variables(name: str) -> list[str]:
    """Return every variable that stands for a key: YAML names and Go names."""
    known = dict(iter_keys(Settings))
    choices = []
    path = ""
    for part in name.split("."):
        path = f"{path}.{part.removesuffix('[]')}" if path else part.removesuffix("[]")
        key = known[path]
        segments = list(key.segments)
        if key.shape.model is not None and key.shape.model.inlined:
            segments += [f"{it}_{key.shape.model.inlined}" for it in segments]
        if part.endswith("[]"):
            segments = [f"{it}_0" for it in segments]
            path += "[]"
        choices.append(segments)
    return ["_".join(("REGISTRY", *them)) for them in itertools.product(*choices)]


def beside(name: str, variable: str) -> dict[str, str]:
    for part, required in REQUIRED.items():
        if f".{part}." in name:
            above = variable[: variable.index("_0_") + 2]
            return {f"{above}_{key.upper()}": str(it) for key, it in required.items()}
    above = variable.rpartition("_")[0]
    return {f"{above}_{key.upper()}": it for key, it in BESIDE.get(name, {}).items()}


@pytest.mark.parametrize(("name", "key"), LEAVES, ids=NAMES)
def test_every_key_is_settable_by_the_file(load: Load, name: str, key: Key) -> None:
    written, expected = sample(name, key)
    settings = load(merged(nested(name, written)))
    assert read(settings, name) == expected


@pytest.mark.parametrize(("name", "key"), LEAVES, ids=NAMES)
def test_every_key_is_settable_by_the_environment(
    load: Load, name: str, key: Key
) -> None:
    written, expected = sample(name, key)
    value = written if isinstance(written, str) else json.dumps(written)
    for variable in variables(name):
        settings = load(**{**beside(name, variable), variable: value})
        assert read(settings, name) == expected
        assert settings.warnings == ()


LISTS = [(name, key) for name, key in LEAVES if key.shape.kind is Kind.LIST]


@pytest.mark.parametrize(("name", "key"), LISTS, ids=[name for name, _ in LISTS])
def test_every_list_is_settable_by_index(load: Load, name: str, key: Key) -> None:
    written, expected = sample(name, key)
    for variable in variables(name):
        indexed = {f"{variable}_{index}": it for index, it in enumerate(written)}
        settings = load(**{**beside(name, variable), **indexed})
        assert read(settings, name) == expected


DEFAULTED = [
    (name, key)
    for name, key in LEAVES
    if not key.info.is_required() and name not in ("version", "http.net")
]


@pytest.mark.parametrize(("name", "key"), DEFAULTED, ids=[it for it, _ in DEFAULTED])
def test_null_and_empty_text_keep_the_default(load: Load, name: str, key: Key) -> None:
    default = read(load(merged(nested(name, None))), name)
    assert read(load(merged(nested(name, ""))), name) == default
    assert default != sample(name, key)[1]


@pytest.mark.parametrize(("name", "key"), list(iter_keys(Settings)))
def test_every_key_is_described(name: str, key: Key) -> None:
    assert key.info.description, name
    assert key.info.description.endswith(".")
