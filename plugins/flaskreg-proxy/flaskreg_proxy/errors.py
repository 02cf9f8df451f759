"""What an upstream did wrong, as errors of the registry.

A client that pulls what is not cached is told the true reason: never that something is
unknown when the upstream only could not be asked.

::

    UpstreamError
      UpstreamFailed               502 UNAVAILABLE: refused, TLS, DNS, 5xx, nonsense
        UpstreamTimeout            504 UNAVAILABLE
        UpstreamOffline            504 UNAVAILABLE: not asked, by configuration
      UpstreamDenied               403 DENIED: the upstream wants other credentials
      UpstreamLimited              429 TOOMANYREQUESTS, with Retry-After
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskreg.errors import RegistryError


class NotThere(Exception):
    """The upstream says that it does not have it."""


class UpstreamError(RegistryError):
    """The upstream could not be asked, or did not answer as it should."""

    #: the word for it in metrics.
    kind = "failed"

    #: the status of the upstream's answer; 0 without one.
    upstream_status = 0

    def to_json(self) -> dict[str, Any]:
        """Return what another process needs to raise the same."""
        return {
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "detail": self.detail,
            "headers": self.headers,
        }


class UpstreamFailed(UpstreamError):
    """It is not reached, fails itself, or talks nonsense."""

    code = "UNAVAILABLE"
    status = 502
    message = "the upstream registry failed"


class UpstreamTimeout(UpstreamFailed):
    """It takes too long."""

    kind = "timeout"
    status = 504
    message = "the upstream registry did not answer in time"


class UpstreamOffline(UpstreamFailed):
    """It is not asked for anything, by configuration."""

    status = 504
    message = "not cached, and the upstream registry is set to offline"


class UpstreamDenied(UpstreamError):
    """It wants other credentials than this registry has."""

    kind = "denied"
    code = "DENIED"
    status = 403
    message = "the upstream registry denied access"


class UpstreamLimited(UpstreamError):
    """It has had too many requests of this registry.

    :param seconds: after which it may be asked again.
    """

    kind = "limited"
    code = "TOOMANYREQUESTS"
    status = 429
    message = "the upstream registry has had too many requests"

    def __init__(self, seconds: float, detail: Any = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, round(seconds)))})
        self.seconds = seconds


def from_json(document: Mapping[str, Any]) -> UpstreamError:
    """Return the error that :meth:`UpstreamError.to_json` described."""
    error = UpstreamError(
        document.get("detail"),
        message=str(document.get("message", "")),
        headers=dict(document.get("headers", {})),
    )
    error.status = int(document.get("status", 502))
    error.code = str(document.get("code", "UNAVAILABLE"))
    return error
