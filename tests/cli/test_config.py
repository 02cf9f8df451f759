"""``flaskreg config``: one line for what is wrong, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from click.testing import Result

from flaskreg.cli.config import config
from flaskreg.config.reference import render_reference


def run(*arguments: str, **environ: str | None) -> Result:
    return CliRunner().invoke(config, arguments, env=environ)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text("version: 0.1\nstorage: inmemory\nhttp: {secret: canary}\n")
    return path


def test_check_says_ok(file: Path) -> None:
    result = run("check", str(file))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ok\n", "")


def test_check_without_a_file_checks_the_environment(file: Path) -> None:
    assert run("check").exit_code == 0
    assert run("check", REGISTRY_CONFIGURATION_PATH=str(file)).exit_code == 0
    assert run("check", REGISTRY_CONFIGURATION_PATH="missing").exit_code == 2


def test_check_prints_warnings(file: Path) -> None:
    result = run("check", str(file), REGISTRY_X="y", REGISTRY_HTTP_H2C_ENABLED="true")
    assert (result.exit_code, result.stdout) == (0, "ok\n")
    (ignored,) = result.stderr.splitlines()
    assert ignored == "warning: Ignoring unrecognized environment variable REGISTRY_X"


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize(
    "text", ["", "version: 0.1", "version: 0.1\nstorge: x", "a: ["]
)
def test_what_is_wrong_is_one_line(file: Path, command: str, text: str) -> None:
    file.write_text(text)
    result = run(command, str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("configuration error: ")
    assert len(result.stderr.splitlines()) == 1


def test_show_prints_yaml_without_secrets(file: Path) -> None:
    result = run("show", str(file))
    assert result.exit_code == 0
    assert "canary" not in result.output
    assert f"# {file}:3" in result.stdout
    shown = yaml.safe_load(result.stdout)
    assert shown["storage"]["inmemory"] == {}
    assert shown["http"]["secret"] == "***"


def test_show_may_leave_out_the_origins(file: Path) -> None:
    assert "#" not in run("show", str(file), "--no-origin").stdout


def test_reference_prints_the_page() -> None:
    assert run("reference").stdout == render_reference()
