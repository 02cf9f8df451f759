"""A directory server, and a source that asks it."""

from __future__ import annotations

import pytest
from slapd_server import SECRET
from slapd_server import SUFFIX
from slapd_server import Slapd


@pytest.fixture(scope="session")
def slapd(tmp_path_factory):
    """Return a directory server of this session."""
    server = Slapd(tmp_path_factory.mktemp("slapd"))
    yield server
    server.close()


@pytest.fixture
def parameters(slapd):
    """Return the parameters of a source that asks it."""
    return {
        "uri": slapd.uri,
        "base": f"ou=people,{SUFFIX}",
        "groupbase": f"ou=groups,{SUFFIX}",
        "binddn": f"cn=reader,{SUFFIX}",
        "bindpassword": SECRET,
        "cache": "0s",
    }
