"""The driver that sends clients to CloudFront."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

from flaskreg.driver import StorageDriver
from flaskreg.driverwrapper import DriverWrapper
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg_cloudfront.ranges import AwsRanges
from flaskreg_cloudfront.signer import Signer


class CloudFrontDriver(DriverWrapper):
    """Sends clients to signed URLs of CloudFront, before the bucket of a driver.

    :param inner: a driver whose content has keys in a bucket.
    :param base: the URL of the distribution, with a slash at its end.
    :param signer: signs the URLs.
    :param duration: seconds for which they are good.
    :param ranges: clients in them are left to the driver; ``None``: nobody is.
    :param clock: gives the time.
    """

    def __init__(
        self,
        inner: StorageDriver,
        *,
        base: str,
        signer: Signer,
        duration: float,
        ranges: AwsRanges | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(inner)
        self.base = base
        self.ranges = ranges
        self._signer = signer
        self._duration = duration
        self._clock = clock

    def hand_over(self, path: str, request: ContentRequest) -> Handover | None:
        """Return a signed URL, or what the driver says."""
        key = self.inner.object_key(path) if request.redirects else None
        if key is None:
            return self.inner.hand_over(path, request)
        if self.ranges is not None and request.client in self.ranges:
            return self.inner.hand_over(path, request)
        url = self.base + quote(key, safe="/-_.~")
        return Handover(self._signer.sign(url, int(self._clock() + self._duration)))

    def close(self) -> None:
        """Stop fetching ranges, and close the driver."""
        if self.ranges is not None:
            self.ranges.close()
        self.inner.close()
