"""What a server runs: one line for what is wrong, logs, and gunicorn's settings."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from types import SimpleNamespace
from typing import Any

import pytest

from flaskreg import serving
from flaskreg.app import RegistryApp
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.serving import make_app
from flaskreg.serving import set_up_logs
from flaskreg.serving import stop


INMEMORY = {"storage": {"driver": "inmemory"}}


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """Leave the log of the package as it was."""
    log = logging.getLogger("flaskreg")
    kept = log.handlers[:], log.level, log.propagate
    yield log
    log.handlers[:], log.level, log.propagate = kept


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, under gunicorn with no sync worker loaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "gunicorn.workers.sync", raising=False)
    monkeypatch.delenv("REGISTRY_CONFIGURATION_PATH", raising=False)
    return tmp_path


def test_an_application_is_made() -> None:
    """With the settings that are given."""
    app = make_app(Settings.model_validate(INMEMORY))
    assert isinstance(app, RegistryApp)
    assert app.driver.name == "inmemory"


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("REGISTRY_STORAGE", "s4", "s4"),
        ("REGISTRY_LOG_LEVEL", "loud", "log.level"),
        ("REGISTRY_CONFIGURATION_PATH", "missing.yml", "missing.yml"),
        ("REGISTRY_AUTH", "nobody", "nobody"),
    ],
)
def test_what_is_wrong_ends_the_process_with_one_line(
    name: str,
    value: str,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The status tells gunicorn not to try again, and there is no traceback."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        make_app()
    assert caught.value.code == serving.APP_LOAD_ERROR == 4
    errors = capsys.readouterr().err
    assert errors.startswith("flaskreg: ")
    assert named in errors
    assert len(errors.splitlines()) == 1


def test_the_sync_worker_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence says why, and what to use."""
    monkeypatch.setitem(sys.modules, "gunicorn.workers.sync", ModuleType("sync"))
    with pytest.raises(SystemExit):
        make_app(Settings.model_validate(INMEMORY))
    errors = capsys.readouterr().err
    assert "sync worker" in errors
    assert "gthread" in errors


def test_stop_has_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever stops says with which."""
    with pytest.raises(SystemExit) as caught:
        stop("no more", 3)
    assert caught.value.code == 3
    assert capsys.readouterr().err == "flaskreg: no more\n"


def test_the_wsgi_module_makes_the_application(folder: Path) -> None:
    """``gunicorn wsgi:app`` needs nothing else, and writes nothing at import."""
    root = Path(__file__).parents[1]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import wsgi, json; "
        "print(json.dumps([type(wsgi.app).__name__, wsgi.app.driver.root]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, check=True
    )
    expected = ["RegistryApp", str(folder / "registry-data")]
    assert json.loads(result.stdout) == expected
    assert list(folder.iterdir()) == []


# Logs


def test_logs_have_one_handler(logger: logging.Logger) -> None:
    """Set up twice, a line is still written once, at the configured level."""
    logger.handlers.clear()
    for level in ("debug", "error"):
        settings = Settings.model_validate({**INMEMORY, "log": {"level": level}})
        set_up_logs(settings)
        assert logger.level == getattr(logging, level.upper())
        assert len(logger.handlers) == 1
    assert not logger.propagate


@pytest.mark.parametrize("level", ["error", "warn", "info", "debug"])
def test_every_level_of_the_settings_is_one_of_logging(
    level: str, logger: logging.Logger
) -> None:
    """``warn`` is the name that distribution has."""
    set_up_logs(Settings.model_validate({**INMEMORY, "log": {"level": level}}))
    assert logger.level > 0


# gunicorn's settings


def configured(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Any:
    """Return gunicorn's settings as they are with some variables."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("flaskreg.gunicornconf", None)
    return importlib.import_module("flaskreg.gunicornconf")


def test_without_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 5000 of every address, threads, and no limit that kills an upload."""
    conf = configured(monkeypatch)
    assert conf.bind == "0.0.0.0:5000"
    assert 2 <= conf.workers <= 8
    assert conf.threads == load_settings(environ={}).http.threads
    assert conf.max_requests == 0
    assert conf.preload_app
    assert conf.forwarded_allow_ips == ""
    assert conf.header_map == "refuse"
    assert conf.control_socket_disable
    assert conf.graceful_timeout == 300
    assert conf.accesslog == "-"


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"REGISTRY_HTTP_ADDR": "127.0.0.1:80"}, "bind", "127.0.0.1:80"),
        ({"REGISTRY_HTTP_ADDR": ":81"}, "bind", "0.0.0.0:81"),
        (
            {"REGISTRY_HTTP_NET": "unix", "REGISTRY_HTTP_ADDR": "/run/r.sock"},
            "bind",
            "unix:/run/r.sock",
        ),
        ({"REGISTRY_HTTP_WORKERS": "3"}, "workers", 3),
        ({"REGISTRY_HTTP_THREADS": "17"}, "threads", 17),
        (
            {"REGISTRY_HTTP_WORKERS": "3", "REGISTRY_STORAGE": "inmemory"},
            "workers",
            1,
        ),
        ({"REGISTRY_HTTP_DRAINTIMEOUT": "90s"}, "graceful_timeout", 90),
        ({"REGISTRY_HTTP_GRACEFULTIMEOUT": "20s"}, "graceful_timeout", 20),
        ({"REGISTRY_LOG_LEVEL": "warn"}, "loglevel", "warning"),
        ({"REGISTRY_LOG_LEVEL": "debug"}, "loglevel", "debug"),
        ({"REGISTRY_LOG_ACCESSLOG_DISABLED": "true"}, "accesslog", None),
        ({}, "http_protocols", "h1"),
        ({}, "http2_cleartext", "off"),
        ({"REGISTRY_HTTP_H2C_ENABLED": "true"}, "http_protocols", "h2,h1"),
        ({"REGISTRY_HTTP_H2C_ENABLED": "true"}, "http2_cleartext", "prior-knowledge"),
    ],
)
def test_the_settings_are_the_servers(
    environ: dict[str, str], name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file configures all."""
    assert getattr(configured(monkeypatch, **environ), name) == value


def test_a_wrong_configuration_stops_gunicorn_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 2, as for the command."""
    with pytest.raises(SystemExit) as caught:
        configured(monkeypatch, REGISTRY_HTTP_ADDR="nowhere")
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "pip install flaskreg-acme"),
        ({"CERTIFICATE": "/c.pem", "KEY": "/c.key"}, "cannot be used together"),
    ],
)
def test_certificates_that_nobody_asks_for_stop_gunicorn_with_one_line(
    environ: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The plugin is not there, or there are certificates already."""
    variables = {f"REGISTRY_HTTP_TLS_{name}": it for name, it in environ.items()}
    variables["REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE"] = "/certificates"
    with pytest.raises(SystemExit) as caught:
        configured(monkeypatch, REGISTRY_PLUGINS_DISABLED="[acme]", **variables)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("flaskreg: http.tls")
    assert told in line


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 4), ("150000 100000", 2), ("1000 100000", 1), ("900000 100000", 4)],
)
def test_cpus_are_those_of_the_control_group(
    quota: str,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A container with two of 64 CPUs gets workers for two."""
    conf = configured(monkeypatch)
    file = tmp_path / "cpu.max"
    file.write_text(f"{quota}\n")

    def sched_getaffinity(_pid: int) -> set[int]:
        return set(range(4))

    def open_file(path: str, **options: Any) -> Any:
        assert path == "/sys/fs/cgroup/cpu.max"
        return file.open(**options)

    monkeypatch.setattr(os, "sched_getaffinity", sched_getaffinity)
    monkeypatch.setattr(conf, "open", open_file, raising=False)
    assert conf.cpus() == expected
    file.unlink()
    assert conf.cpus() == 4


def server(
    app: object, address: tuple[Any, ...] = (), worker: str = "gthread"
) -> SimpleNamespace:
    """Return what gunicorn's arbiter is to :func:`on_starting`."""
    cfg = SimpleNamespace(worker_class_str=worker, address=[address] if address else [])
    return SimpleNamespace(cfg=cfg, app=SimpleNamespace(wsgi=lambda: app))


def test_on_starting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that cannot work, a storage that cannot be used: one line each."""
    conf = configured(monkeypatch)
    app = make_app(Settings.model_validate(INMEMORY))
    conf.on_starting(server(app))
    with pytest.raises(SystemExit):
        conf.on_starting(server(app, worker="sync"))
    assert "sync worker" in capsys.readouterr().err

    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/registry")

    with pytest.raises(SystemExit) as caught:
        conf.on_starting(server(SimpleNamespace(check_storage=fail)))
    assert caught.value.code == 1
    errors = capsys.readouterr().err
    assert "storage" in errors
    assert "/var/lib/registry" in errors
    assert len(errors.splitlines()) == 1


def test_a_busy_port_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """gunicorn itself would try five times and print a traceback."""
    import socket

    conf = configured(monkeypatch)
    for name in ("GUNICORN_FD", "LISTEN_FDS"):
        monkeypatch.delenv(name, raising=False)
    app = make_app(Settings.model_validate(INMEMORY))
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(SystemExit) as caught:
            conf.on_starting(server(app, ("127.0.0.1", port)))
        assert caught.value.code == 1
        errors = capsys.readouterr().err
        assert f"127.0.0.1:{port}" in errors
        assert len(errors.splitlines()) == 1
        # A server that is started again hands its socket on.
        monkeypatch.setenv("GUNICORN_FD", "3")
        conf.on_starting(server(app, ("127.0.0.1", port)))
    monkeypatch.delenv("GUNICORN_FD")
    conf.on_starting(server(app, ("127.0.0.1", port)))
