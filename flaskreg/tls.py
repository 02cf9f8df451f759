"""TLS as ``http.tls`` configures it, with certificates that are read again on change.

Source: CNCF distribution's ``registry.go``: names of versions, of cipher suites, and of
the ways to ask clients for certificates.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

from flaskreg.config import ConfigError
from flaskreg.config.tls import Tls
from flaskreg.servertls import ServerTls


_log = logging.getLogger("flaskreg")

#: how long a client may take for each step of a handshake, in seconds.
HANDSHAKE = 10.0

#: how often the files are looked at, in seconds.
LOOK = 1.0

#: cipher suites of TLS 1.2 by Go's names, with those of OpenSSL.
SUITES = {
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "ECDHE-RSA-DES-CBC3-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}

#: suites of TLS 1.3, which OpenSSL always offers.
SUITES_13 = frozenset(
    {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
)

#: what holds when none are configured.
DEFAULT = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
)

#: ways that let a client in without a certificate. Python's TLS verifies whatever a
#: client shows, so the two that want none verified are stricter here than in Go.
_OPTIONAL = frozenset({"request-client-cert", "verify-client-cert-if-given"})


class PatientSocket(ssl.SSLSocket):
    """A socket that blocks for a limited time, whoever says that it is to block."""

    def setblocking(self, flag: bool) -> None:
        """Block for as long as the context says, or not at all."""
        patience = getattr(self.context, "patience", 0.0) or None
        self.settimeout(patience if flag else 0.0)


class Context(ssl.SSLContext):
    """A context whose handshakes and reads do not take for ever."""

    sslsocket_class = PatientSocket

    #: in seconds; 0 for ever.
    patience: float = 60.0

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        """Return the encrypted socket."""
        sock.settimeout(min(self.patience or HANDSHAKE, HANDSHAKE))
        return super().wrap_socket(sock, *args, **kwargs)


C = TypeVar("C", bound=Context)


def make_context(
    tls: Tls, protocols: Sequence[str], patience: float, kind: type[C]
) -> C:
    """Return a context that is as the section says, and has no certificate yet.

    :param tls: the section ``http.tls``.
    :param protocols: offered by ALPN, the best first.
    :param patience: without a byte moving, in seconds; 0 for ever.
    :param kind: its class.
    :raises ConfigError: a file cannot be used, or a suite is not known.
    """
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    context.patience = patience
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if tls.minimumtls == "tls1.3" else ssl.TLSVersion.TLSv1_2
    )
    _set_suites(context, tls.ciphersuites)
    _set_clients(context, tls)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def _set_clients(context: ssl.SSLContext, tls: Tls) -> None:
    for path in tls.clientcas:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise ConfigError(
                f"http.tls.clientcas: {path} cannot be used: {error}"
            ) from None
    if tls.clientcas:
        optional = tls.clientauth in _OPTIONAL
        context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED


def _set_suites(context: ssl.SSLContext, chosen: Sequence[str]) -> None:
    chosen = chosen or DEFAULT
    for name in chosen:
        if name not in SUITES and name not in SUITES_13:
            raise ConfigError.wrong(
                "http.tls.ciphersuites",
                name,
                f"must be of {', '.join((*SUITES, *sorted(SUITES_13)))}",
            )
    names = [SUITES[name] for name in chosen if name in SUITES]
    if not names:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    try:
        context.set_ciphers(":".join(names))
    except ssl.SSLError:
        raise ConfigError(
            "http.tls.ciphersuites: this OpenSSL has none of them"
        ) from None


class TlsContexts(ServerTls):
    """Makes contexts, and makes one anew when a file has changed.

    A change that cannot be used is logged, and what was there before is kept.

    :param tls: the section ``http.tls``.
    :param protocols: offered by ALPN, the best first.
    :param patience: without a byte moving, in seconds; 0 for ever.
    :raises ConfigError: a file cannot be used, or a suite is not known.
    """

    def __init__(
        self, tls: Tls, protocols: Sequence[str] = (), patience: float = 60.0
    ) -> None:
        if not (tls.certificate and tls.key):
            missing = "key" if tls.certificate else "certificate"
            raise ConfigError(f"http.tls.{missing}: is required for TLS")
        self._tls = tls
        self._protocols = list(protocols)
        self._patience = patience
        self._files = (tls.certificate, tls.key, *tls.clientcas)
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._looked = 0.0
        self._context = self._make()

    @property
    def context(self) -> ssl.SSLContext:
        """Return the context of the files as they are now."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            with self._lock:
                self._looked = now
                self._renew()
        return self._context

    def _renew(self) -> None:
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._context = self._make()
        except ConfigError as error:
            _log.error("the certificate was not changed: %s", error)
        else:
            _log.info("a changed certificate is used from now on")

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._files]

    def _make(self) -> ssl.SSLContext:
        tls = self._tls
        context = make_context(tls, self._protocols, self._patience, Context)
        try:
            assert tls.certificate is not None
            context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
        except (OSError, ValueError) as error:
            names = f"{tls.certificate} and {tls.key}"
            raise ConfigError(f"http.tls: {names} cannot be used: {error}") from None
        return context


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _no_password() -> str:
    raise ValueError("the key is encrypted")
