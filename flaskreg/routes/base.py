"""``/v2/``: does the registry speak this API, and are the credentials good."""

from __future__ import annotations

from flaskreg.routes.answer import Answer
from flaskreg.routes.call import Call


def get_base(call: Call) -> Answer:
    """Answer that it does (end-1)."""
    del call
    return Answer(
        200, [("Content-Type", "application/json"), ("Content-Length", "2")], b"{}"
    )
