"""The one place where an exception becomes an answer."""

from __future__ import annotations

import logging

from werkzeug.exceptions import HTTPException

from flaskreg.driver import DriverError
from flaskreg.driver import StorageFull
from flaskreg.errors import InsufficientStorage
from flaskreg.errors import RegistryError
from flaskreg.errors import RouteUnknown
from flaskreg.errors import Unavailable
from flaskreg.errors import Unsupported
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import json_answer


_log = logging.getLogger("flaskreg")

#: headers of an HTTP exception that its answer keeps.
_KEPT = frozenset({"allow", "retry-after", "www-authenticate"})


def render(error: Exception) -> Answer:
    """Return the answer to a request that ended in *error*.

    What nobody expected is logged with its trace and told to the client as UNKNOWN.
    """
    if isinstance(error, RegistryError):
        return _envelope(error)
    if isinstance(error, HTTPException):
        return _from_http(error)
    if isinstance(error, StorageFull):
        _log.error("%s", error)
        return _envelope(InsufficientStorage())
    if isinstance(error, DriverError):
        _log.error("storage: %s", error)
        return _envelope(Unavailable("the storage did not do what was asked"))
    _log.error("unexpected error", exc_info=error)
    return _envelope(RegistryError())


def _envelope(error: RegistryError) -> Answer:
    return json_answer(
        {"errors": error.entries()}, error.headers.items(), status=error.status
    )


def _from_http(error: HTTPException) -> Answer:
    if error.response is not None:
        status = error.response.status_code
        headers = list(error.response.headers.items())
    else:
        status = error.code or 500
        headers = list(error.get_headers())
    known: RegistryError
    if status == 404:
        known = RouteUnknown()
    elif status == 405:
        known = Unsupported()
    else:
        known = RegistryError(message=(error.name or "error").lower())
        known.code = known.code if status >= 500 else "UNSUPPORTED"
    known.status = status
    known.headers = {name: value for name, value in headers if name.lower() in _KEPT}
    return _envelope(known)
