"""Files that are no configuration get one line that says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flaskreg.config import ConfigError
from flaskreg.config import load_settings

from .conftest import Load


Fails = Callable[..., str]
HEAD = "version: 0.1\nstorage: inmemory\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.yml: must be a map of keys"),
        ("[a]", "config.yml: must be a map of keys"),
        ("text", "config.yml: must be a map of keys"),
        ("a: b: c", "config.yml:1: "),
        (HEAD + "log:\n\tlevel: info", "config.yml:4: "),
        (HEAD + "log: {level: info", "config.yml:3: "),
        (HEAD + "log: !!python/name:os.system", "config.yml:3: "),
        (HEAD + "log: !!int x", "config.yml:3: x is no int"),
        (HEAD + "log: *x", "config.yml:3: "),
        (HEAD + "log: &x {fields: {a: *x}}", "an alias must not stand inside"),
        (HEAD + "? [a]\n: b", "config.yml:3: a key must be text"),
        (HEAD + "log: \x07", "config.yml: "),
        (HEAD + "---\nlog:", "config.yml:3: "),
        (HEAD + "log: " + "[" * 3000, "config.yml: is nested too deeply"),
    ],
)
def test_what_is_no_map_in_yaml_is_refused(
    fails: Fails, text: str, message: str
) -> None:
    assert message in fails(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "storage: inmemory", "config.yml:3: key storage is already on line 2"),
        (HEAD + "log:\n  level: info\n  level: warn", "config.yml:5: key level is"),
        ("version: 0.1\nstorage: {s3: {a: 1, a: 2}}", "config.yml:2: key a is"),
    ],
)
def test_a_key_that_stands_twice_is_warned_of(
    load: Load, text: str, message: str
) -> None:
    (warning,) = load(text).warnings
    assert message in warning
    assert warning.endswith("; the last one holds")


def test_of_a_key_that_stands_twice_the_last_one_holds(load: Load) -> None:
    """As in distribution, whose own files have some."""
    settings = load(HEAD + "log:\n  level: info\n  level: warn\nlog: {level: debug}")
    assert settings.log.level == "debug"
    assert len(settings.warnings) == 2


def test_a_key_that_stands_twice_in_a_variable_is_refused(fails: Fails) -> None:
    message = fails(REGISTRY_LOG_FIELDS="{a: 1, a: 2}")
    assert "must be YAML" in message


def test_merged_keys_may_be_overridden(load: Load) -> None:
    text = """
version: 0.1
storage:
  inmemory: &shared {a: 1, b: 2}
middleware:
  storage:
    - {name: x, options: {<<: *shared, b: 3}}
    - {name: y, options: {<<: *shared}}
"""
    first, second = load(text).middleware.storage
    assert first.options == {"a": 1, "b": 3}
    assert second.options == {"a": 1, "b": 2}


def test_an_alias_is_changed_apart_from_its_anchor(load: Load) -> None:
    text = HEAD + "middleware: {storage: [&x {name: a}, *x]}"
    settings = load(text, REGISTRY_MIDDLEWARE_STORAGE_1_NAME="b")
    assert [it.name for it in settings.middleware.storage] == ["a", "b"]


def test_a_byte_order_mark_is_skipped(load: Load) -> None:
    assert load("\ufeff" + HEAD).storage.driver == "inmemory"


def test_keys_are_text_as_written(load: Load) -> None:
    fields = load(HEAD + "log: {fields: {on: 1, 0.10: 2, 5: 3}}").log.fields
    assert fields == {"on": 1, "0.10": 2, "5": 3}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, binary = tmp_path / "missing.yml", tmp_path / "binary.yml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (missing, binary, tmp_path, Path("a\0b")):
        with pytest.raises(ConfigError) as caught:
            load_settings(path, {})
        assert str(caught.value).startswith(f"{path}: ")
