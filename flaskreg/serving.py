"""The application as a server runs it: logs set up, errors told in one line."""

from __future__ import annotations

import sys

from flaskreg.app import RegistryApp
from flaskreg.app import create_app
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.logs.setup import set_up_logs
from flaskreg.plugins import PluginError
from flaskreg.runfolder import run_folder


#: the exit status by which a worker tells gunicorn not to start it again.
APP_LOAD_ERROR = 4

SYNC_REFUSED = (
    "gunicorn's sync worker is refused: it cannot tell a long upload from a hung one "
    "and kills it; use --worker-class gthread, or start with `flaskreg serve`"
)


def make_app(settings: Settings | None = None) -> RegistryApp:
    """Return the application, or end the process with one line that says why not.

    :param settings: ``None`` reads them from the configuration file and environment.
    """
    if "gunicorn.workers.sync" in sys.modules:
        stop(SYNC_REFUSED)
    try:
        if settings is None:
            settings = load_settings()
        set_up_logs(settings)
        return assemble(settings)
    except (ConfigError, PluginError) as error:
        stop(str(error))
        raise


def assemble(settings: Settings) -> RegistryApp:
    """Return the application, and have what its worker processes will share.

    :raises ConfigError: a setting is wrong.
    :raises PluginError: the plugins do not go together.
    """
    if _shares(settings):
        run_folder()
    return create_app(settings)


def stop(sentence: str, status: int = APP_LOAD_ERROR) -> None:
    """End the process with one line on standard error.

    :raises SystemExit: always.
    """
    sys.stderr.write(f"flaskreg: {sentence}\n")
    sys.stderr.flush()
    raise SystemExit(status)


def _shares(settings: Settings) -> bool:
    """Whether worker processes share a folder, which has to be there before them."""
    health, debug = settings.health, settings.http.debug
    checked = health.storagedriver.enabled or health.file or health.http or health.tcp
    return bool(checked or debug.addr)
