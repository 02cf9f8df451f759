"""``flaskreg serve``: gunicorn, with the settings of the file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flaskreg.cli.main import group
from flaskreg.cli.main import main
from flaskreg.config import ConfigError
from flaskreg.version import __version__


class Executed(Exception):
    """Takes the place of the process being replaced."""


@pytest.fixture(autouse=True)
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what would be executed."""
    calls: list[Any] = []

    def execve(program: str, command: list[str], environ: dict[str, str]) -> None:
        calls.append((program, command, environ))
        raise Executed

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.delenv("REGISTRY_CONFIGURATION_PATH", raising=False)
    return calls


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a configuration."""
    path = tmp_path / "config.yml"
    path.write_text("version: 0.1\nstorage: inmemory\n")
    return path


def run(*arguments: str) -> BaseException | None:
    """Run ``flaskreg serve`` and return how it ended."""
    result = CliRunner().invoke(group, ["serve", *arguments])
    return result.exception


def test_gunicorn_takes_the_place_of_the_command(
    executed: list[Any], file: Path
) -> None:
    """With the file for all processes, and our settings of gunicorn."""
    assert isinstance(run(str(file)), Executed)
    ((program, command, environ),) = executed
    assert program == command[0] == sys.executable
    assert command[1:3] == ["-m", "gunicorn"]
    assert command[3:5] == ["--config", "python:flaskreg.gunicornconf"]
    assert command[-1] == "flaskreg.serving:make_app()"
    assert environ["REGISTRY_CONFIGURATION_PATH"] == str(file)


def test_the_file_of_the_environment_is_used(
    executed: list[Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file, the variable names it; without both there is none."""
    assert isinstance(run(), Executed)
    assert "REGISTRY_CONFIGURATION_PATH" not in executed[0][2]
    monkeypatch.setenv("REGISTRY_CONFIGURATION_PATH", str(file))
    assert isinstance(run(), Executed)
    assert executed[1][2]["REGISTRY_CONFIGURATION_PATH"] == str(file)


def test_further_options_go_to_gunicorn(executed: list[Any], file: Path) -> None:
    """They stand after ours, so that they win."""
    run(str(file), "--", "--workers", "1", "--reload")
    command = executed[0][1]
    assert command[5:-1] == ["--workers", "1", "--reload"]


@pytest.mark.parametrize("text", ["", "version: 0.1\nstorge: x\n", "a: ["])
def test_a_wrong_file_starts_nothing(
    executed: list[Any], file: Path, text: str
) -> None:
    """It is told before gunicorn is."""
    file.write_text(text)
    assert isinstance(run(str(file)), ConfigError)
    assert isinstance(run(str(file.with_name("missing.yml"))), ConfigError)
    assert executed == []


def test_the_command_tells_errors_in_one_line(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The status is 2, and the nearest known key is named."""
    file.write_text("version: 0.1\nstorage: inmemory\nhtpp: {}\n")
    monkeypatch.setattr(sys, "argv", ["flaskreg", "serve", str(file)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert errors == "flaskreg: unknown key htpp: did you mean http?\n"


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_the_version(option: str) -> None:
    """As distribution's own command has it."""
    result = CliRunner().invoke(group, [option])
    assert result.output == f"flaskreg, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["serve", "-h"]])
def test_help(arguments: list[str]) -> None:
    """Both spellings, for each command; every command has its sentence."""
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_every_command_says_what_it_is_for() -> None:
    """The list of commands has a sentence for each."""
    assert {"serve", "config", "plugins"} <= group.commands.keys()
    for command in group.commands.values():
        assert command.get_short_help_str()
