"""gunicorn's log, in the form and with the hooks of our own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from flaskreg.config import Settings
from flaskreg.logs.access import AccessLine
from flaskreg.logs.access import Sent
from flaskreg.logs.access import access_line
from flaskreg.logs.setup import make_formatter
from flaskreg.logs.setup import make_hooks


class ServerLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's two logs; a line of the access log is made here at once."""

    #: set by :func:`server_log`.
    settings: Settings
    line: AccessLine

    def setup(self, cfg: Any) -> None:
        """Set the handlers up, then give them our form."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            if getattr(handler, "_gunicorn", False):
                handler.setFormatter(make_formatter(self.settings))
        for handler in make_hooks(self.settings):
            handler._gunicorn = True  # type: ignore[attr-defined]
            self.error_log.addHandler(handler)
        self.line = access_line(self.settings.log.accesslog.formatter)

    def access(
        self,
        resp: Any,
        req: Any,
        environ: Mapping[str, Any],
        request_time: timedelta,
    ) -> None:
        """Write the line of a request."""
        del req
        if not self.access_log_enabled:
            return
        status = resp.status
        sent = Sent(
            status if isinstance(status, str) and len(status) == 3 else str(status)[:3],
            resp.sent or 0,
            request_time.total_seconds(),
        )
        record = logging.makeLogRecord({"msg": self.line(environ, sent)})
        for handler in self.access_log.handlers:
            handler.handle(record)


def server_log(settings: Settings) -> type[ServerLog]:
    """Return the class of a log with some settings, as gunicorn takes it."""
    return type("ConfiguredServerLog", (ServerLog,), {"settings": settings})
