"""``accel``: the server before the registry sends the files of blobs itself.

The registry decides whether a client may have a blob, and answers with a header that
names its file; nginx knows that as ``X-Accel-Redirect``, Apache and lighttpd as
``X-Sendfile``. The worker is free at once, and the bytes never pass through Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flaskreg.driver import StorageDriver
from flaskreg.driverwrapper import DriverWrapper
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.routes.urls import TrustedProxies
from flaskreg_middleware.options import Options


#: who is taken for the server before us, unless the options say.
LOCAL = ("127.0.0.0/8", "::1", "unix")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_PREFIX = re.compile(r"/[\x21-\x7e]*")


class AcceleratedDriver(DriverWrapper):
    """Names the file of a blob to the server before us.

    :param inner: the driver.
    :param header: the name of the header.
    :param prefix: what stands before the path of the storage in its value.
    :param proxies: the peers that know what to do with it. Anybody else gets the
        content from the registry, since an empty answer would be all that they see.
    """

    def __init__(
        self, inner: StorageDriver, header: str, prefix: str, proxies: TrustedProxies
    ) -> None:
        super().__init__(inner)
        self.header = header
        self.prefix = prefix
        self.proxies = proxies

    def hand_over(self, path: str, request: ContentRequest) -> Handover | None:
        """Return the header for a GET; a HEAD has no content to send."""
        if request.peer not in self.proxies:
            return self.inner.hand_over(path, request)
        if request.method != "GET":
            return None
        return Handover(headers=((self.header, self.prefix + path),))


def wrap_accel(driver: StorageDriver, options: Mapping[str, Any]) -> StorageDriver:
    """Wrap a driver as ``options`` say.

    :raises ConfigError: ``prefix`` is missing, or an option is wrong.
    """
    given = Options("accel", options, ["header", "prefix", "proxies"])
    header = given.text("header", "X-Accel-Redirect")
    if not _NAME.fullmatch(header):
        raise given.wrong("header", "must be the name of a header")
    prefix = given.text("prefix")
    if not _PREFIX.fullmatch(prefix):
        raise given.wrong("prefix", "must be a path that begins with a slash")
    try:
        proxies = TrustedProxies(given.texts("proxies", LOCAL))
    except ValueError as error:
        raise given.wrong(
            "proxies", f"must be addresses or networks: {error}"
        ) from None
    return AcceleratedDriver(driver, header, prefix.rstrip("/"), proxies)
