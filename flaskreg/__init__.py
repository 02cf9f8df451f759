"""flaskreg: an OCI and Docker container registry whose parts are plugins."""

from __future__ import annotations

from flaskreg.app import create_app as create_app
from flaskreg.hookspecs import hookimpl as hookimpl
from flaskreg.version import __version__ as __version__
