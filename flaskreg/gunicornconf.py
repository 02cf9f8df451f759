"""gunicorn's settings, from the same configuration as all else.

``gunicorn.conf.py`` in the project's folder takes every name from here, and ``flaskreg
serve`` passes this module itself.
"""

from __future__ import annotations

import errno
import os
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING
from typing import Any

from flaskreg.app import RegistryApp
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.config.environment import PATH_VARIABLE
from flaskreg.debugserver import parse_address
from flaskreg.driver import DriverError
from flaskreg.filewatch import FileWatch
from flaskreg.logs.server import server_log
from flaskreg.logs.setup import make_hooks
from flaskreg.logs.setup import set_up_logs
from flaskreg.plugins import PluginError
from flaskreg.plugins import make_plugin_manager
from flaskreg.servertls import ServerTls
from flaskreg.serving import SYNC_REFUSED
from flaskreg.serving import assemble
from flaskreg.serving import stop


if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter


class Running:
    """A configuration with what the server makes of it itself.

    :raises ConfigError: it is wrong.
    :raises PluginError: the plugins do not go together.
    """

    def __init__(self) -> None:
        self.settings = load_settings()
        make_hooks(self.settings)
        self.tls = _make_tls(self.settings)


def _load() -> Running:
    try:
        return Running()
    except (ConfigError, PluginError) as error:
        stop(str(error), 2)
        raise


def _bind(settings: Settings) -> str:
    address = settings.http.addr
    if settings.http.net == "unix":
        return f"unix:{address}"
    return f"0.0.0.0{address}" if address.startswith(":") else address


def cpus() -> int:
    """Return the CPUs that this process may use, as its control group limits them."""
    available = len(os.sched_getaffinity(0))
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            available = min(available, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return available


def _workers(settings: Settings) -> int:
    if settings.storage.driver == "inmemory":
        return 1
    return settings.http.workers or min(max(cpus(), 2), 8)


def _encrypted(settings: Settings) -> str | None:
    """Return a path of what TLS is made of; ``None`` when it is not spoken.

    gunicorn wants one that exists, and reads nothing there.
    """
    tls = settings.http.tls
    return tls.certificate or tls.key or tls.letsencrypt.cachefile


def _protocols(settings: Settings) -> str:
    """Return what is spoken; HTTP/2 needs ``pip install flaskreg[http2]``."""
    http = settings.http
    available = find_spec("h2") is not None
    if _encrypted(settings):
        http2 = not http.http2.disabled and available
    else:
        http2 = http.h2c.enabled
        if http2 and not available:
            raise ConfigError(
                "http.h2c.enabled: HTTP/2 is not installed; "
                "try `pip install flaskreg[http2]`"
            )
    return "h2,h1" if http2 else "h1"


def _make_tls(settings: Settings) -> ServerTls | None:
    protocols = _protocols(settings)
    if not _encrypted(settings):
        return None
    tls = settings.http.tls
    if tls.letsencrypt.cachefile and (tls.certificate or tls.key):
        raise ConfigError(
            "http.tls: certificate and letsencrypt cannot be used together"
        )
    manager = make_plugin_manager(settings.plugins.disabled)
    made: ServerTls = manager.hook.flaskreg_make_tls(
        settings=settings,
        protocols=["h2", "http/1.1"] if "h2" in protocols else ["http/1.1"],
    )
    return made


def _changeable(settings: Settings) -> dict[str, Any]:
    """Return gunicorn's settings that a reload may change."""
    http, log = settings.http, settings.log
    return {
        "workers": _workers(settings),
        "threads": http.threads,
        "worker_connections": max(1000, 4 * http.threads),
        "graceful_timeout": int(http.draintimeout or http.gracefultimeout),
        "loglevel": {"warn": "warning"}.get(log.level, log.level),
        "accesslog": None if log.accesslog.disabled else "-",
    }


_watch = FileWatch(os.environ.get(PATH_VARIABLE))
_running = _load()
_prepared: tuple[Running, RegistryApp] | None = None
_settings = _running.settings
_values = _changeable(_settings)

bind = _bind(_settings)
workers = _values["workers"]
worker_class = "flaskreg.worker.RegistryWorker"
threads = _values["threads"]
http_protocols = _protocols(_settings)
http2_cleartext = "prior-knowledge" if _settings.http.h2c.enabled else "off"
certfile = _encrypted(_settings)
do_handshake_on_connect = False
worker_connections = _values["worker_connections"]
preload_app = True
keepalive = 75
# A heartbeat of the worker process, and no limit of a request: threads do not stop it.
timeout = 120
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
graceful_timeout = _values["graceful_timeout"]
max_requests = 0
limit_request_line = 8190
limit_request_field_size = 32768
# Forwarded headers are read by our own code, from http.trustedproxies alone.
forwarded_allow_ips = ""
header_map = "refuse"
control_socket_disable = True
proc_name = "flaskreg"
loglevel = _values["loglevel"]
errorlog = "-"
logger_class = server_log(_settings)
accesslog = _values["accesslog"]


def ssl_context(_config: Any, _make_default: Any) -> Any:
    """Return the context of a new connection."""
    assert _running.tls is not None
    return _running.tls.context


def on_starting(server: Arbiter) -> None:
    """Refuse to start where nothing would work, with one line that says why."""
    if server.cfg.worker_class_str == "sync":
        stop(SYNC_REFUSED)
    app: Any = server.app.wsgi()
    try:
        app.check_storage()
    except (DriverError, OSError) as error:
        stop(f"the storage cannot be used: {error}", 1)
    _check_port(server)


def when_ready(server: Arbiter) -> None:
    """Look at the configuration file each time that the arbiter looks at its workers.

    That is in its own loop, once a second: no thread is there when it forks.
    """
    murder_workers = server.murder_workers

    def murder_workers_and_look() -> None:
        murder_workers()
        if _watch.changed():
            _take_change(server)

    server.murder_workers = murder_workers_and_look


def _take_change(server: Arbiter) -> None:
    """Reload when the changed file can be used; else let the workers go on."""
    global _prepared  # noqa: PLW0603 - gunicorn's settings are a module
    server.log.info("the configuration file has changed")
    _prepared = _prepare(server)
    if _prepared is not None:
        server.handle_hup()


def _prepare(server: Arbiter) -> tuple[Running, RegistryApp] | None:
    """Return the configuration as it is now, with its application.

    :returns: ``None`` when it is wrong, which is logged.
    """
    try:
        running = Running()
        return running, assemble(running.settings)
    except (ConfigError, PluginError) as error:
        # One line that says what to do; a trace would say nothing more.
        server.log.error("the configuration was not changed: %s", error)  # noqa: TRY400
        return None


def on_reload(server: Arbiter) -> None:
    """Take what has changed in the configuration, after SIGHUP or a change of its file.

    A configuration that is wrong is told, and the one before it holds on. Addresses,
    and whether TLS or HTTP/2 is spoken, are those of the start.
    """
    global _running, _prepared  # noqa: PLW0603 - gunicorn's settings are a module
    if isinstance(server.app.callable, RegistryApp):
        if _prepared is None:
            _watch.take()
            _prepared = _prepare(server)
        if _prepared is not None:
            _prepared[0].tls = _prepared[0].tls or _running.tls
            _running, server.app.callable = _prepared
        _prepared = None
    for name, value in _changeable(_running.settings).items():
        server.cfg.set(name, value)
    server.num_workers = server.cfg.workers
    server.cfg.logger_class.settings = _running.settings
    server.log.setup(server.cfg)
    set_up_logs(_running.settings)


def post_worker_init(worker: Any) -> None:
    """Begin in each worker what it does beside its requests."""
    if _running.tls is not None and worker.cfg.is_ssl:
        _running.tls.start()
    start = getattr(worker.wsgi, "start", None)
    if start is not None:
        start()


def worker_exit(server: Arbiter, worker: Any) -> None:
    """Bring to safety what a worker has accepted, when it has served all."""
    del server
    if _running.tls is not None and worker.cfg.is_ssl:
        _running.tls.stop()
    end = getattr(getattr(worker, "wsgi", None), "stop", None)
    if end is not None:
        end()


def _check_port(server: Arbiter) -> None:
    if _settings.http.debug.addr and "GUNICORN_PID" not in os.environ:
        _check_free(parse_address(_settings.http.debug.addr))
    if "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ:
        return
    for address in server.cfg.address:
        if isinstance(address, tuple):
            _check_free(address)


def _check_free(address: tuple[Any, ...]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}:
                reason = error.strerror
                stop(f"cannot listen on {address[0]}:{address[1]}: {reason}", 1)
