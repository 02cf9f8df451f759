"""The command ``flaskreg``."""

from __future__ import annotations

from flaskreg.cli.main import main as main
