"""A server that all tests share."""

from __future__ import annotations

import pytest
from azurite import Azurite


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    """Return a server."""
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    yield server
    server.stop()
