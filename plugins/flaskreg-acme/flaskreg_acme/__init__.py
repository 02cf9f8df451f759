"""Certificates from Let's Encrypt and other ACME servers (RFC 8555)."""

from __future__ import annotations

from collections.abc import Sequence

from flaskreg import hookimpl
from flaskreg.config import Settings
from flaskreg.servertls import ServerTls


@hookimpl
def flaskreg_make_tls(settings: Settings, protocols: Sequence[str]) -> ServerTls | None:
    """Ask for certificates when ``http.tls.letsencrypt.cachefile`` is set."""
    if not settings.http.tls.letsencrypt.cachefile:
        return None
    from flaskreg_acme.tls import AcmeTls

    return AcmeTls(settings.http.tls, protocols, settings.http.idletimeout)
