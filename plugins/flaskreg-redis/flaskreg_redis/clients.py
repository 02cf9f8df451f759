"""Clients of Redis from the section ``redis``, as distribution's client reads it.

One address is a server, several are a cluster, and with ``mastername`` they are
sentinels that know the server.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from typing import Any

from redis import BlockingConnectionPool
from redis import Connection
from redis import DriverInfo
from redis import Redis
from redis import RedisCluster
from redis import Sentinel
from redis import SSLConnection
from redis import UnixDomainSocketConnection
from redis.backoff import ExponentialBackoff
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.cluster import LoadBalancingStrategy
from redis.retry import Retry

from flaskreg.config import ConfigError
from flaskreg.config.redis import Redis as RedisSettings
from flaskreg.config.redis import RedisTls


PORT = 6379

#: seconds after which a server is done without, unless the configuration says.
DIAL_TIMEOUT = 0.5
READ_TIMEOUT = 0.5

#: the largest file of certificates that is read, in bytes.
_CERTIFICATES = 1 << 20

_log = logging.getLogger("flaskreg")

#: connects; called in the process that uses what it returns.
Connector = Callable[[], Any]


def make_connector(settings: RedisSettings) -> Connector:
    """Return what makes the client; nothing is connected here.

    :raises ConfigError: an address, a certificate or another value is wrong.
    """
    options = _options(settings)
    options |= _tls(settings.tls)
    if settings.mastername:
        return _sentinel(settings, options)
    if len(settings.addrs) > 1:
        return _cluster(settings, options)
    return _server(settings, options)


def parse_address(text: str, key: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; an IPv6 address stands in brackets.

    :raises ConfigError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(PORT)
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    good = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536
    if host and good and not text.startswith("/"):
        return host, int(port)
    raise ConfigError.wrong(key, text, "must be host:port")


def _server(settings: RedisSettings, options: dict[str, Any]) -> Connector:
    address = settings.addrs[0]
    kind: type[Any] = SSLConnection if "ssl_ca_data" in options else Connection
    if address.startswith("/"):
        kind, options = UnixDomainSocketConnection, {**options, "path": address}
        options.pop("socket_connect_timeout")
    else:
        host, port = parse_address(address, "redis.addrs[0]")
        options = {**options, "host": host, "port": port}

    def connect() -> Any:
        # redis-py has types for the most part, and none for what is made here.
        pool = BlockingConnectionPool(  # type: ignore[no-untyped-call]
            max_connections=_pool_size(settings),
            timeout=settings.pooltimeout or options["socket_timeout"],
            connection_class=kind,
            db=settings.db,
            **options,
        )
        return Redis(connection_pool=pool)

    return connect


def _sentinel(settings: RedisSettings, options: dict[str, Any]) -> Connector:
    addresses = _addresses(settings)
    # A sentinel is asked by its own user, over TLS when the server is.
    own = {
        key: it for key, it in options.items() if key not in {"username", "password"}
    }
    if "ssl_ca_data" in options:
        own["ssl"] = True
        options = {**options, "ssl": True}
    if settings.sentinelusername:
        own["username"] = settings.sentinelusername
    if settings.sentinelpassword is not None:
        own["password"] = settings.sentinelpassword.get_secret_value()

    def connect() -> Any:
        sentinel = Sentinel(addresses, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        return sentinel.master_for(  # type: ignore[no-untyped-call]
            settings.mastername,
            db=settings.db,
            max_connections=_pool_size(settings),
            **options,
        )

    return connect


def _cluster(settings: RedisSettings, options: dict[str, Any]) -> Connector:
    addresses = _addresses(settings)
    if settings.db:
        raise ConfigError.wrong("redis.db", settings.db, "a cluster has only 0")
    if "ssl_ca_data" in options:
        options = {**options, "ssl": True}
    # One more try, after which the client knows the new shape of the cluster.
    options["retry"] = Retry(NoBackoff(), max(settings.maxretries, 1))
    if settings.readonly or settings.routerandomly or settings.routebylatency:
        options["load_balancing_strategy"] = LoadBalancingStrategy.ROUND_ROBIN

    def connect() -> Any:
        return RedisCluster(
            startup_nodes=[ClusterNode(*each) for each in addresses],  # type: ignore[no-untyped-call]
            max_connections=_pool_size(settings),
            **options,
        )

    return connect


def _addresses(settings: RedisSettings) -> list[tuple[str, int]]:
    return [
        parse_address(text, f"redis.addrs[{at}]")
        for at, text in enumerate(settings.addrs)
    ]


def _options(settings: RedisSettings) -> dict[str, Any]:
    """Return what every connection is made with."""
    if settings.protocol not in (0, 2, 3):
        raise ConfigError.wrong("redis.protocol", settings.protocol, "must be 2 or 3")
    options: dict[str, Any] = {
        "socket_connect_timeout": _positive(settings.dialtimeout) or DIAL_TIMEOUT,
        "socket_timeout": max(
            _positive(settings.readtimeout), _positive(settings.writetimeout)
        )
        or READ_TIMEOUT,
        "protocol": settings.protocol or 2,
        "retry": _retry(settings),
        "driver_info": _identity(settings),
    }
    if settings.clientname:
        options["client_name"] = settings.clientname
    if settings.username:
        options["username"] = settings.username
    if settings.password is not None:
        options["password"] = settings.password.get_secret_value()
    return options


def _identity(settings: RedisSettings) -> DriverInfo | None:
    """Return what the server is told of the client's library."""
    if settings.disableidentity:
        return DriverInfo(name=None, lib_version=None)
    suffix = settings.identitysuffix
    name = f"redis-py({suffix})" if suffix else "redis-py"
    if not name.isascii() or not name.isprintable() or " " in name:
        raise ConfigError.wrong(
            "redis.identitysuffix", suffix, "must be ASCII without spaces"
        )
    return DriverInfo(name=name)


def _retry(settings: RedisSettings) -> Retry:
    """Return how often a command is tried again; a cache had better not."""
    if settings.maxretries <= 0:
        return Retry(NoBackoff(), 0)
    shortest = _positive(settings.minretrybackoff) or 0.008
    longest = _positive(settings.maxretrybackoff) or 0.512
    return Retry(ExponentialBackoff(cap=longest, base=shortest), settings.maxretries)


def _pool_size(settings: RedisSettings) -> int:
    return settings.maxactiveconns or settings.poolsize or 10 * (os.cpu_count() or 1)


def _positive(seconds: float) -> float:
    return max(seconds, 0.0)


def _tls(settings: RedisTls) -> dict[str, Any]:
    """Return the options of TLS, which is spoken when any of its keys is set."""
    if not (settings.certificate or settings.key or settings.rootcas):
        return {}
    authorities = [
        _read(path, f"redis.tls.rootcas[{at}]")
        for at, path in enumerate(settings.rootcas)
    ]
    options: dict[str, Any] = {"ssl_ca_data": "\n".join(authorities) or None}
    if bool(settings.certificate) != bool(settings.key):
        _log.warning("redis.tls: no client certificate: it needs certificate and key")
    elif settings.certificate:
        options["ssl_certfile"] = settings.certificate
        options["ssl_keyfile"] = settings.key
    _check(options)
    return options


def _read(path: str, key: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(_CERTIFICATES).decode("ascii")
    except (OSError, ValueError) as error:
        raise ConfigError.wrong(key, path, f"cannot be read: {error}") from None


def _check(options: dict[str, Any]) -> None:
    """Load what the connections will load, so that a wrong file is told at once."""
    context = ssl.create_default_context()
    try:
        if options["ssl_ca_data"]:
            context.load_verify_locations(cadata=options["ssl_ca_data"])
    except ssl.SSLError as error:
        raise ConfigError(f"redis.tls.rootcas: no certificate: {error}") from None
    try:
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options["ssl_keyfile"])
    except (OSError, ValueError) as error:
        raise ConfigError(f"redis.tls.certificate and key: {error}") from None
