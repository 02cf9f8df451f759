"""``flaskreg plugins``: what is installed, what each offers, and what is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result

from flaskreg import hookimpl
from flaskreg.cli.main import group
from flaskreg.config import ConfigError
from flaskreg.defaults.manifestoptions import STANDARD_ORDER
from flaskreg.plugins import DEFAULT_PLUGINS
from flaskreg.plugins import make_plugin_manager


command = group.commands["plugins"]
namespace = command.callback.__globals__  # type: ignore[union-attr]


class Example:
    """A plugin that offers a driver and wraps it."""

    @hookimpl
    def flaskreg_register_drivers(self) -> Mapping[str, Any]:
        """Offer a driver."""
        return {"example": None}

    @hookimpl(wrapper=True)
    def flaskreg_make_driver(self) -> Any:
        """Wrap the driver."""
        return (yield)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the example be the only installed plugin."""

    def make(disabled: tuple[str, ...]) -> Any:
        manager = make_plugin_manager(disabled, discover=False)
        if "example" not in disabled:
            manager.register(Example(), "example")
        return manager

    monkeypatch.setitem(namespace, "make_plugin_manager", make)
    monkeypatch.setitem(namespace, "installed", list)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("REGISTRY_CONFIGURATION_PATH", raising=False)


def run(*arguments: str) -> Result:
    """Run ``flaskreg plugins``."""
    return CliRunner().invoke(group, ["plugins", *arguments])


def offers(output: str) -> dict[str, list[str]]:
    """Return what each plugin of a printed table offers."""
    lines = output.splitlines()
    start = lines[0].index("offers")
    found: dict[str, list[str]] = {}
    for line in lines[1:]:
        if line[:1].strip():
            name = line.split()[0]
            found[name] = []
        if line[start:].strip():
            found[name].append(line[start:].strip())
    return found


def test_every_default_is_listed() -> None:
    """With all that it offers, and what of it is used without a configuration."""
    result = run()
    assert result.exit_code == 0
    found = offers(result.stdout)
    assert set(found) == {*DEFAULT_PLUGINS, "example"}
    assert found["flaskreg.defaults.filesystem"] == ["driver filesystem (used)"]
    assert found["flaskreg.defaults.inmemory"] == ["driver inmemory"]
    assert set(found["flaskreg.defaults.memorycache"]) == {
        "cache inmemory",
        "cache none (used)",
    }
    assert "access controller none (used)" in found["flaskreg.defaults.open_access"]
    options = found["flaskreg.defaults.manifestoptions"]
    for name in STANDARD_ORDER:
        assert f"manifest option {name} (used)" in options
    assert "manifest option warning" in options
    assert "makes the registry" in found["flaskreg.defaults.services"]


def test_a_plugin_is_listed_with_all_that_it_does() -> None:
    """What it offers, and what it makes."""
    assert offers(run().stdout)["example"] == ["driver example", "makes the driver"]


def test_what_the_file_uses_is_marked(tmp_path: Path) -> None:
    """The mark goes with the configuration."""
    file = tmp_path / "config.yml"
    file.write_text(
        "version: 0.1\n"
        "storage: {example: , cache: {blobdescriptor: inmemory}}\n"
        "auth: {silly: {realm: r, service: s}}\n"
        "manifests: {options: [warning: {text: x}]}\n"
    )
    found = offers(run(str(file)).stdout)
    assert found["example"][0] == "driver example (used)"
    assert found["flaskreg.defaults.filesystem"] == ["driver filesystem"]
    assert "cache inmemory (used)" in found["flaskreg.defaults.memorycache"]
    assert "access controller silly (used)" in found["flaskreg.defaults.open_access"]
    options = found["flaskreg.defaults.manifestoptions"]
    assert [line for line in options if "used" in line] == [
        "manifest option warning (used)"
    ]


def test_a_disabled_plugin_is_listed_as_such(tmp_path: Path) -> None:
    """Whoever looks for it finds out why it is not there."""
    file = tmp_path / "config.yml"
    file.write_text("version: 0.1\nstorage: inmemory\nplugins: {disabled: [example]}\n")
    assert offers(run(str(file)).stdout)["example"] == ["(disabled)"]


def test_a_wrong_file_is_told(tmp_path: Path) -> None:
    """As for every command."""
    assert isinstance(run(str(tmp_path / "missing.yml")).exception, ConfigError)


def test_the_kinds_are_the_register_hooks() -> None:
    """No hook that offers anything to be selected is left out of the list."""
    from flaskreg import hookspecs

    hooks = {name for name in dir(hookspecs) if name.startswith("flaskreg_register_")}
    selected_by_nobody = {
        f"flaskreg_register_{each}"
        for each in (
            "blueprints",
            "commands",
            "debug_pages",
            "meters",
            "observers",
            "sinks",
        )
    }
    assert set(namespace["_KINDS"].values()) == hooks - selected_by_nobody


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    """With what to install for it; what is switched off is not missed."""
    file = tmp_path / "config.yml"
    file.write_text(
        "version: 0.1\n"
        "storage: {s3aws: {}, cache: {blobdescriptor: memcached}}\n"
        "auth: {ldap: {}}\n"
        "manifests: {options: [frozen]}\n"
        "middleware:\n"
        "  storage:\n"
        "    - {name: redirect}\n"
        "    - {name: rewrite}\n"
        "    - {name: cloudfront, disabled: true}\n"
    )
    result = run(str(file)).stdout
    found = offers(result)
    missing = {
        name: lines for name, lines in found.items() if "(used, missing)" in str(lines)
    }
    assert missing == {
        f"flaskreg-{name}": [f"{each} (used, missing)" for each in lines]
        for name, lines in {
            "s3": ["driver s3aws"],
            "memcached": ["cache memcached"],
            "ldap": ["access controller ldap"],
            "frozen": ["manifest option frozen"],
            "middleware": ["storage middleware redirect", "storage middleware rewrite"],
        }.items()
    }
    for name in missing:
        assert f" pip install {name} " in result


def test_nothing_is_missing_without_a_configuration() -> None:
    """All that is used by default is in the core."""
    assert "missing" not in run().stdout
