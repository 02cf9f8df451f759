"""The errors of the registry: one class for each code of the HTTP API.

Class attributes say what every instance shares (``code``, ``status`` and
``message``); an instance carries ``detail`` and ``headers``. They are raised where
the fact is known and rendered once, in :mod:`flaskreg.routes.render`.

::

    RegistryError
      BlobUnknown                    404 BLOB_UNKNOWN
      BlobUploadInvalid              404 BLOB_UPLOAD_INVALID
      BlobUploadUnknown              404 BLOB_UPLOAD_UNKNOWN
      Denied                         403 DENIED
      DigestInvalid                  400 DIGEST_INVALID
      ManifestBlobUnknown            400 MANIFEST_BLOB_UNKNOWN
      ManifestInvalid                400 MANIFEST_INVALID
        TagInvalid                   400 TAG_INVALID
      ManifestUnknown                404 MANIFEST_UNKNOWN
      NameInvalid                    400 NAME_INVALID
      NameUnknown                    404 NAME_UNKNOWN
      PaginationInvalid              400 PAGINATION_NUMBER_INVALID
      RangeInvalid                   416 RANGE_INVALID
      RouteUnknown                   404 NOT_FOUND
      SizeInvalid                    400 SIZE_INVALID
        ManifestTooLarge             413 SIZE_INVALID
      TooManyRequests                429 TOOMANYREQUESTS
      Unauthorized                   401 UNAUTHORIZED
      Unavailable                    503 UNAVAILABLE
        InsufficientStorage          507 UNAVAILABLE
      Unsupported                    405 UNSUPPORTED
        UriTooLong                   414 UNSUPPORTED
        TransferUnsupported          501 UNSUPPORTED
      SeveralErrors                  the status of the first of them

The codes and statuses are those of the OCI distribution specification and, where
the specification has none, of CNCF distribution.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any


class RegistryError(Exception):
    """A request cannot be answered as asked; the base of every error here.

    :param detail: any JSON value that says what exactly was wrong. ``None`` leaves
        the member out of the answer.
    :param message: takes the place of the class's message.
    :param headers: further response headers.
    """

    #: the code of the error envelope.
    code: str = "UNKNOWN"
    #: the HTTP status of the answer.
    status: int = 500
    #: the human sentence of the error envelope.
    message: str = "unknown error"

    def __init__(
        self,
        detail: Any = None,
        *,
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers: dict[str, str] = dict(headers or {})
        if message is not None:
            self.message = message

    def entries(self) -> list[dict[str, Any]]:
        """Return the members of the ``errors`` list of the answer."""
        entry: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            entry["detail"] = self.detail
        return [entry]

    def __str__(self) -> str:
        return self.message if self.detail is None else f"{self.message}: {self.detail}"


class SeveralErrors(RegistryError):
    """Several errors at once, such as each missing reference of a manifest.

    :param errors: at least one error; the first gives the status.
    """

    def __init__(self, errors: Iterable[RegistryError]) -> None:
        super().__init__()
        self.errors: Sequence[RegistryError] = tuple(errors)
        self.code = self.errors[0].code
        self.status = self.errors[0].status
        self.message = self.errors[0].message

    def entries(self) -> list[dict[str, Any]]:
        """Return the members of every error, in order."""
        return [entry for error in self.errors for entry in error.entries()]


# Content


class BlobUnknown(RegistryError):
    """The blob is not in this repository."""

    code = "BLOB_UNKNOWN"
    status = 404
    message = "blob unknown to registry"


class ManifestUnknown(RegistryError):
    """The manifest, by tag or digest, is not in this repository."""

    code = "MANIFEST_UNKNOWN"
    status = 404
    message = "manifest unknown"


class ManifestInvalid(RegistryError):
    """The manifest is not a valid document of its media type."""

    code = "MANIFEST_INVALID"
    status = 400
    message = "manifest invalid"


class TagInvalid(ManifestInvalid):
    """The tag is not one by the grammar of the specification."""

    code = "TAG_INVALID"
    message = "manifest tag did not match URI"


class ManifestBlobUnknown(RegistryError):
    """A manifest references content that is not in this repository."""

    code = "MANIFEST_BLOB_UNKNOWN"
    status = 400
    message = "blob unknown to registry"


class DigestInvalid(RegistryError):
    """A digest does not parse, or does not match the content."""

    code = "DIGEST_INVALID"
    status = 400
    message = "provided digest did not match uploaded content"


class SizeInvalid(RegistryError):
    """The length given and the bytes received differ."""

    code = "SIZE_INVALID"
    status = 400
    message = "provided length did not match content length"


class ManifestTooLarge(SizeInvalid):
    """The manifest is larger than the registry accepts."""

    status = 413
    message = "manifest too large"


# Uploads


class BlobUploadInvalid(RegistryError):
    """The upload session does not match the request."""

    code = "BLOB_UPLOAD_INVALID"
    status = 404
    message = "blob upload invalid"


class BlobUploadUnknown(RegistryError):
    """The upload session does not exist (any more) in this repository."""

    code = "BLOB_UPLOAD_UNKNOWN"
    status = 404
    message = "blob upload unknown to registry"


class RangeInvalid(RegistryError):
    """A chunk or a range does not fit to what is there."""

    code = "RANGE_INVALID"
    status = 416
    message = "invalid content range"


# Names


class NameInvalid(RegistryError):
    """The repository name is not one by the grammar of the specification."""

    code = "NAME_INVALID"
    status = 400
    message = "invalid repository name"


class NameUnknown(RegistryError):
    """The repository is not known to this registry, or outside its scope."""

    code = "NAME_UNKNOWN"
    status = 404
    message = "repository name not known to registry"


class PaginationInvalid(RegistryError):
    """The number of results asked for is not one that can be given."""

    code = "PAGINATION_NUMBER_INVALID"
    status = 400
    message = "invalid number of results requested"


# Access and service


class Unauthorized(RegistryError):
    """No credentials, or wrong ones.

    :param challenge: the value of the ``WWW-Authenticate`` header.
    :param detail: the accesses that were asked for.
    """

    code = "UNAUTHORIZED"
    status = 401
    message = "authentication required"

    def __init__(self, challenge: str, detail: Any = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})
        self.challenge = challenge


class Denied(RegistryError):
    """The principal may not do this."""

    code = "DENIED"
    status = 403
    message = "requested access to the resource is denied"


class Unsupported(RegistryError):
    """The operation is switched off, or not one of this resource."""

    code = "UNSUPPORTED"
    status = 405
    message = "The operation is unsupported."


class TooManyRequests(RegistryError):
    """The client is asked to come back later."""

    code = "TOOMANYREQUESTS"
    status = 429
    message = "too many requests"


class Unavailable(RegistryError):
    """The registry cannot answer for now."""

    code = "UNAVAILABLE"
    status = 503
    message = "service unavailable"


class InsufficientStorage(Unavailable):
    """There is no room left for what was pushed; pulls and deletes go on."""

    status = 507
    message = "no space left on the registry"


class TransferUnsupported(Unsupported):
    """The body is framed in a way that this WSGI server does not hand on."""

    status = 501


class UriTooLong(Unsupported):
    """A query has more parameters than one request may have."""

    status = 414


class RouteUnknown(RegistryError):
    """The path is not one of the HTTP API."""

    code = "NOT_FOUND"
    status = 404
    message = "no such resource"
