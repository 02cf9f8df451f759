"""The storage middleware ``cloudfront``: clients get blobs from CloudFront."""

from __future__ import annotations

from collections.abc import Mapping

from flaskreg import hookimpl
from flaskreg.driver import StorageMiddleware
from flaskreg_cloudfront.driver import CloudFrontDriver as CloudFrontDriver
from flaskreg_cloudfront.options import wrap_cloudfront


@hookimpl
def flaskreg_register_storage_middleware() -> Mapping[str, StorageMiddleware]:
    """Offer the middleware under its name."""
    return {"cloudfront": wrap_cloudfront}
