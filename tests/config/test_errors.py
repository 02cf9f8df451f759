"""Unknown keys are refused, and the nearest known one is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flaskreg.config import ConfigError
from flaskreg.config.shapes import Key

from .samples import leaves
from .samples import nested
from .test_keys import merged


Fails = Callable[..., str]
HEAD = "version: 0.1\nstorage: inmemory\n"
ALONE = ("version", "storage.scope")
LEAVES = [(name, key) for name, key in leaves() if name not in ALONE]


@pytest.mark.parametrize(("name", "key"), LEAVES, ids=[name for name, _ in LEAVES])
def test_a_mistyped_key_is_guessed(fails: Fails, name: str, key: Key) -> None:
    wrong = f"{name}x"
    message = fails(merged(nested(wrong, None)))
    expected = f"unknown key {wrong}: did you mean {name}?".replace("[]", "[0]")
    assert message == expected
    assert key.name in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("htpp: {}", "unknown key htpp: did you mean http?"),
        ("Log: {}", "unknown key Log: did you mean log?"),
        ("redis: {addr: x}", "unknown key redis.addr: did you mean redis.addrs?"),
        ("maxtags: 5", "unknown key maxtags: did you mean tags.maxtags?"),
        ("catalog: {x: 5}", "unknown key catalog.x: known here: catalog.maxentries"),
        (
            "proxy: {uploadpurging: }",
            "unknown key proxy.uploadpurging: did you mean "
            "storage.maintenance.uploadpurging?",
        ),
    ],
)
def test_unknown_keys(fails: Fails, text: str, message: str) -> None:
    assert fails(HEAD + text) == message


def test_the_key_of_a_section_is_guessed(fails: Fails) -> None:
    message = fails("version: 0.1\nstorage: {inmemory: , delete: {enable: true}}")
    expected = "unknown key storage.delete.enable: did you mean storage.delete.enabled?"
    assert message == expected


def test_an_error_is_one_line() -> None:
    assert str(ConfigError("a\nb\r\nc")) == "a b c"


def test_a_long_value_is_cut() -> None:
    message = str(ConfigError.wrong("a.b", "x" * 500, "must be short"))
    assert len(message) < 120
    assert message.endswith("...: must be short")


def test_plugins_may_name_the_unknown_parameters_of_their_own() -> None:
    error = ConfigError.unknown("storage.x.rot", ["storage.x.root"])
    assert str(error) == "unknown key storage.x.rot: did you mean storage.x.root?"
    assert "no key is known" in str(ConfigError.unknown("storage.x.rot", []))
