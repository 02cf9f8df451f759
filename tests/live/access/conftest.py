"""These tests import the plugins that they are about.

A plain ``pytest`` deselects every live test, and is run where no plugin is installed:
there the modules are not imported. With ``-m live`` a missing plugin is an error.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    del collection_path
    return True if config.option.markexpr == "not live" else None
