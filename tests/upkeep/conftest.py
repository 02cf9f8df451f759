"""What the tests of upkeep share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def purging() -> None:
    """Purge as a server does."""
