"""Registries with a policy."""

from __future__ import annotations

import pytest
from policy_site import Site

from flaskreg import filelook


@pytest.fixture
def make_site(tmp_path):
    """Return a callable that makes a site of parameters."""
    return lambda **parameters: Site(tmp_path, **parameters)


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch):
    """Let a change of a file apply to the very next call."""
    monkeypatch.setattr(filelook, "PAUSE", 0.0)
