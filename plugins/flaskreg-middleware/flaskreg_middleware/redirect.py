"""``redirect``: clients are sent to another server, which has the same paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flaskreg.driver import StorageDriver
from flaskreg.driverwrapper import DriverWrapper
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg_middleware.options import Options


class RedirectedDriver(DriverWrapper):
    """Sends every client to a base URL, whatever the driver would say.

    :param inner: the driver.
    :param base: the URL before the path of the storage, without a slash at its end.
    """

    def __init__(self, inner: StorageDriver, base: str) -> None:
        super().__init__(inner)
        self.base = base

    def hand_over(self, path: str, request: ContentRequest) -> Handover | None:
        """Return the path below the base, unless clients are not to be sent away."""
        if request.redirects:
            return Handover(self.base + path)
        return self.inner.hand_over(path, request)


def wrap_redirect(driver: StorageDriver, options: Mapping[str, Any]) -> StorageDriver:
    """Wrap a driver as ``options`` say.

    :raises ConfigError: ``baseurl`` is missing or is no plain URL.
    """
    given = Options("redirect", options, ["baseurl"])
    text = given.text("baseurl")
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and parts.scheme in {"http", "https"}
        good = good and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or " " in text or "?" in text or "#" in text:
        raise given.wrong("baseurl", "must be scheme://host with or without a path")
    return RedirectedDriver(driver, text.rstrip("/"))
