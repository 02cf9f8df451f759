"""Certificates by the name that a client asks for, and the answers to challenges."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any

from flaskreg.config import ConfigError
from flaskreg.config.tls import Tls
from flaskreg.lead import Lead
from flaskreg.servertls import ServerTls
from flaskreg.tls import HANDSHAKE
from flaskreg.tls import Context
from flaskreg.tls import TlsContexts
from flaskreg.tls import make_context
from flaskreg_acme.folder import Folder
from flaskreg_acme.parameters import Parameters
from flaskreg_acme.renewer import Renewer


#: the protocol that a server is asked for by ALPN to answer a challenge (RFC 8737).
PROTOCOL = "acme-tls/1"

#: bytes of the longest beginning of a handshake that is looked at: one TLS record.
_RECORD = 5 + (16 << 10)

_REFUSED = ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


class AcmeTls(ServerTls):
    """Serves what is in the folder, and lets one process of all keep it new.

    :param tls: the section ``http.tls``.
    :param protocols: offered by ALPN, the best first.
    :param patience: without a byte moving, in seconds; 0 for ever.
    :raises ConfigError: the section cannot work.
    """

    def __init__(self, tls: Tls, protocols: Sequence[str], patience: float) -> None:
        self._parameters = Parameters.of(tls.letsencrypt)
        self._folder = Folder(self._parameters.folder)
        self._tls = tls
        self._protocols = protocols
        self._patience = patience
        self._found: dict[str, TlsContexts] = {}
        self._context = make_context(tls, protocols, patience, _Answering)
        self._context.sni_callback = self._choose
        self._context.folder = self._folder
        self._context.hosts = self._parameters.hosts
        self._ending = threading.Event()
        self._lead: Lead | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """Return the context that takes each certificate from the folder."""
        return self._context

    def start(self) -> None:
        """Begin to wait for being the process that keeps the certificates new."""
        self._ending.clear()
        self._lead = Lead(self._folder.lock, self._renew)
        self._lead.start()

    def stop(self) -> None:
        """Let another process do it."""
        self._ending.set()
        if self._lead is not None:
            self._lead.stop()

    def _renew(self) -> None:
        # What it takes to ask for certificates is large, and one process needs it.
        from flaskreg_acme.authority import Authority
        from flaskreg_acme.authority import reason_of

        authority = Authority(self._parameters, self._folder)
        hosts = self._parameters.hosts
        Renewer(self._folder, hosts, authority.obtain, reason_of).run(self._ending)

    def _choose(
        self, sock: Any, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        """Let a handshake go on with the certificate of the host that is asked for."""
        context = self._find((name or self._parameters.hosts[0]).lower())
        if context is None:
            return _REFUSED
        sock.context = context
        return None

    def _find(self, host: str) -> ssl.SSLContext | None:
        """Return the context of a host that is ours and has a certificate."""
        found = self._found.get(host)
        if found is not None:
            return found.context
        path = str(self._folder.certificate(host))
        if host not in self._parameters.hosts:
            return None
        tls = self._tls.model_copy(update={"certificate": path, "key": path})
        try:
            found = TlsContexts(tls, self._protocols, self._patience)
        except ConfigError:
            # It is not there yet; or it is damaged, and who renews it says so.
            return None
        return self._found.setdefault(host, found).context


class _Answering(Context):
    """A context that answers challenges, as long as there are any."""

    folder: Folder
    hosts: tuple[str, ...] = ()

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        """Return the encrypted socket; who asks for an answer gets one."""
        if any(self.folder.challenge(host).exists() for host in self.hosts):
            sock.settimeout(HANDSHAKE)
            if offers(sock, PROTOCOL):
                context = _challenge_context()
                context.sni_callback = self._answer
                return context.wrap_socket(sock, *args, **kwargs)
        return super().wrap_socket(sock, *args, **kwargs)

    def _answer(
        self, sock: Any, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        if name not in self.hosts:
            return _REFUSED
        context = _challenge_context()
        try:
            context.load_cert_chain(self.folder.challenge(name))
        except OSError:
            return _REFUSED
        sock.context = context
        return None


def _challenge_context() -> Context:
    """Return a context that wants nothing of its client; it has no certificate yet."""
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([PROTOCOL])
    return context


def offers(sock: socket.socket, protocol: str) -> bool:
    """Whether a client that begins a handshake offers a protocol by ALPN.

    Python's TLS tells what is offered when the certificate is chosen already. So the
    name is looked for in what the client sends first, which stays to be read.

    :raises OSError: the client left, or sends nothing.
    """
    wanted = bytes([len(protocol)]) + protocol.encode("ascii")
    end = time.monotonic() + HANDSHAKE
    while True:
        hello = sock.recv(_RECORD, socket.MSG_PEEK)
        if not hello or wanted in hello:
            return bool(hello)
        whole = min(_RECORD, 5 + int.from_bytes(hello[3:5]))
        if (len(hello) >= 5 and len(hello) >= whole) or time.monotonic() > end:
            return False
        # Its rest is on the way, and peeking does not wait for that.
        time.sleep(0.005)
