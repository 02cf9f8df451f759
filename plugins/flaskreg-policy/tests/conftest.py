"""Registries with a policy."""

from __future__ import annotations

import pytest
from policy_site import Site


@pytest.fixture
def make_site(tmp_path):
    """Return a callable that makes a site of parameters."""
    return lambda **parameters: Site(tmp_path, **parameters)
