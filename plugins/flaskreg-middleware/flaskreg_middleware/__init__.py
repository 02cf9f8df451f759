"""The storage middleware ``redirect``, ``rewrite`` and ``accel``."""

from __future__ import annotations

from collections.abc import Mapping

from flaskreg import hookimpl
from flaskreg.driver import StorageMiddleware
from flaskreg_middleware.accel import wrap_accel
from flaskreg_middleware.redirect import wrap_redirect
from flaskreg_middleware.rewrite import wrap_rewrite


@hookimpl
def flaskreg_register_storage_middleware() -> Mapping[str, StorageMiddleware]:
    """Offer all three under their names."""
    return {
        "accel": wrap_accel,
        "redirect": wrap_redirect,
        "rewrite": wrap_rewrite,
    }
