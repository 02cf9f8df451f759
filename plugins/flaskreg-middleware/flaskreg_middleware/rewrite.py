"""``rewrite``: changes the URL that the driver, or the middleware before, sends to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from flaskreg.driver import StorageDriver
from flaskreg.driverwrapper import DriverWrapper
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg_middleware.options import Options


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")


class RewrittenDriver(DriverWrapper):
    """Changes parts of the URL; what has no URL has none after it.

    :param inner: the driver.
    :param scheme: ``""`` keeps the scheme.
    :param host: with or without a port; ``""`` keeps it.
    :param trim: what is cut from the beginning of the path, where it stands there.
    """

    def __init__(self, inner: StorageDriver, scheme: str, host: str, trim: str) -> None:
        super().__init__(inner)
        self.scheme = scheme
        self.host = host
        self.trim = trim

    def hand_over(self, path: str, request: ContentRequest) -> Handover | None:
        """Return what the driver says, with another URL."""
        found = self.inner.hand_over(path, request)
        if found is None or not found.url:
            return found
        return replace(found, url=self.rewrite(found.url))

    def rewrite(self, url: str) -> str:
        """Return *url* with what is to change; the query stays, byte by byte."""
        parts = urlsplit(url)
        return parts._replace(
            scheme=self.scheme or parts.scheme,
            netloc=self.host or parts.netloc,
            path=parts.path.removeprefix(self.trim),
        ).geturl()


def wrap_rewrite(driver: StorageDriver, options: Mapping[str, Any]) -> StorageDriver:
    """Wrap a driver as ``options`` say; none of them has to be there.

    :raises ConfigError: one is wrong.
    """
    given = Options("rewrite", options, ["scheme", "host", "trimpathprefix"])
    scheme, host = given.text("scheme", ""), given.text("host", "")
    if scheme and not _SCHEME.fullmatch(scheme):
        raise given.wrong("scheme", "must be a scheme, such as https")
    if host and not _HOST.fullmatch(host):
        raise given.wrong("host", "must be a host, with or without a port")
    return RewrittenDriver(driver, scheme, host, given.text("trimpathprefix", ""))
