"""What the commands that work on the storage share."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import Any
from typing import NamedTuple

import click
import pluggy
from rich.console import Console
from rich.progress import Progress

from flaskreg.app import make_driver
from flaskreg.app import make_registry
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.config.durations import parse_duration
from flaskreg.driver import StorageDriver
from flaskreg.logs.setup import set_up_logs
from flaskreg.plugins import make_plugin_manager
from flaskreg.services import Registry


_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_UNFIT = re.compile(r"[^A-Za-z0-9-]")


class Storage(NamedTuple):
    """The storage of a configuration, and what is made on it."""

    settings: Settings
    manager: pluggy.PluginManager
    driver: StorageDriver

    def registry(self) -> Registry:
        """Return the registry that is configured."""
        return make_registry(self.manager, self.settings, self.driver)


@contextmanager
def open_storage(configuration: str | None) -> Iterator[Storage]:
    """Give the storage of a configuration file; the log goes to standard error.

    :param configuration: ``None`` takes what ``REGISTRY_CONFIGURATION_PATH`` names.
    :raises ConfigError: a setting is wrong.
    :raises PluginError: the plugins do not go together.
    """
    settings = load_settings(configuration)
    set_up_logs(settings)
    manager = make_plugin_manager(settings.plugins.disabled)
    driver = make_driver(manager, settings)
    try:
        yield Storage(settings, manager, driver)
    finally:
        driver.close()


configuration_argument = click.argument(
    "configuration", required=False, type=click.Path(dir_okay=False), metavar="[CONFIG]"
)


def to_seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """Return a duration, as distribution's configuration writes it, in seconds.

    :raises click.BadParameter: it is none, or negative.
    """
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from None
    if seconds < 0:
        raise click.BadParameter(f"{value!r} is negative")
    return seconds


class Bar:
    """A progress bar on standard error, for people alone.

    :param quiet: whether there is none.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            console=console, transient=True, disable=quiet or not console.is_terminal
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def show(self, what: str, done: int, total: int | None = None) -> None:
        """Show how much of something is done."""
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(task, completed=done, total=total)


def format_size(size: int) -> str:
    """Return bytes as people read them, such as ``1.5 MiB``."""
    number = float(size)
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            break
        number /= 1024
    return f"{size} bytes" if unit == _UNITS[0] else f"{number:.1f} {unit}"


def make_run_name() -> str:
    """Return a name that tells the machine, the process, and this run from others."""
    return f"{_machine()}.{os.getpid()}.{secrets.token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether a name of :func:`make_run_name` is of a process here that has ended."""
    machine, _, process = name.rpartition(".")[0].rpartition(".")
    if machine != _machine() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """Return the machine, and which numbers of processes hold on it."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return _UNFIT.sub("", f"{socket.gethostname()}-{space}")
