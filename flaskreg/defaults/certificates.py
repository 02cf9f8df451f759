"""Certificates from files, as ``http.tls`` names them."""

from __future__ import annotations

from collections.abc import Sequence

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.hookspecs import hookimpl
from flaskreg.servertls import ServerTls
from flaskreg.tls import TlsContexts


@hookimpl(trylast=True)
def flaskreg_make_tls(settings: Settings, protocols: Sequence[str]) -> ServerTls:
    """Read ``http.tls.certificate`` and ``http.tls.key``."""
    http = settings.http
    if http.tls.letsencrypt.cachefile:
        raise ConfigError(
            "http.tls.letsencrypt: no plugin that asks for certificates is loaded; "
            "try `pip install flaskreg-acme`"
        )
    return TlsContexts(http.tls, protocols, http.idletimeout)
