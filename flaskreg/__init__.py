"""flaskreg: an OCI and Docker container registry whose parts are plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from flaskreg.hookspecs import hookimpl as hookimpl
from flaskreg.version import __version__ as __version__


if TYPE_CHECKING:
    from flaskreg.app import create_app as create_app


__all__ = ["__version__", "create_app", "hookimpl"]


def __getattr__(name: str) -> Any:
    """Import the application when it is asked for: plugins need the marker alone."""
    if name == "create_app":
        from flaskreg.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
