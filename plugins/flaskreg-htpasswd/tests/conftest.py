"""Password files whose hashes cost little."""

from __future__ import annotations

import pytest
from flaskreg_htpasswd.hashes import make_hash

from flaskreg import filelook


@pytest.fixture(scope="session")
def hashed():
    """Return a callable that makes a hash, each once in a session."""
    made = {}

    def make(password, cost=4):
        key = (password, cost)
        if key not in made:
            made[key] = make_hash(password.encode("utf-8", "surrogateescape"), cost)
        return made[key]

    return make


@pytest.fixture
def make_file(tmp_path, hashed):
    """Return a callable that writes users with their passwords to a file."""
    path = tmp_path / "htpasswd"

    def make(more=b"", **users):
        lines = [f"{user}:".encode() + hashed(text) for user, text in users.items()]
        path.write_bytes(b"\n".join([*lines, more]))
        return str(path)

    return make


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch):
    """Let a change of a file apply to the very next call."""
    monkeypatch.setattr(filelook, "PAUSE", 0.0)
