"""What a token was granted is remembered, and nothing that changes is missed."""

from __future__ import annotations

import time

import bcrypt
import pytest
from flaskreg_policy import granted as module
from flaskreg_policy.authentication import Authenticator
from flaskreg_policy.granted import Granted
from policy_site import allow
from policy_site import basic
from policy_site import bearer

from flaskreg.access import Access
from flaskreg.access import Grant
from flaskreg.access import Principal


PULL = Access("repository", "team/a", "pull")
GRANT = Grant(Principal("alice"), (PULL,))
RULES = [allow("team/*", "alice", "pull", "push"), allow("public/*", "anonymous")]


@pytest.fixture
def site(make_site, tmp_path):
    """Return a registry with a password file."""
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (tmp_path / "htpasswd").write_text(f"alice:{hashed}\n")
    return make_site(rules=RULES, htpasswd=str(tmp_path / "htpasswd"))


@pytest.fixture
def identified(monkeypatch):
    """Return a list that grows with each request whose sender is found out."""
    seen = []
    real = Authenticator.identify

    def identify(self, headers):
        seen.append(headers)
        return real(self, headers)

    monkeypatch.setattr(Authenticator, "identify", identify)
    return seen


def test_a_token_is_looked_at_once(site, identified):
    """For each set of accesses; a password and an API key each time."""
    controller = site.app.site.controller
    scope = "repository:team/a:pull,push"
    token = bearer(site.token(basic("alice", "secret"), scope).json["token"])
    push = (PULL, Access("repository", "team/a", "push"))
    for _ in range(5):
        grant = controller.authorize(token, (PULL,))
        assert (grant.principal.name, grant.accesses) == ("alice", (PULL,))
        assert controller.authorize(token, push).accesses == push
    assert len(identified) == 2
    by_key = bearer(site.token(site.login("alice"), scope).json["token"])
    for headers in (basic("alice", "secret"), site.login("alice"), by_key):
        before = len(identified)
        for _ in range(3):
            controller.authorize(headers, (PULL,))
        assert len(identified) == before + 3


def test_a_token_of_nobody_is_remembered_too(site, identified):
    """And it is good for what it was issued for alone, each time."""
    token = bearer(site.token({}, "repository:public/a:pull").json["token"])
    for _ in range(3):
        assert site.call("GET", "public/a/tags/list", token).status_code == 404
        assert site.call("GET", "team/a/tags/list", token).status_code == 401
    assert len(identified) == 1 + 3


@pytest.mark.parametrize("at", [0, 1, 2])
def test_whatever_changes_ends_it(at):
    """An equal object is another one: it was read again."""
    state = [object(), object(), object()]
    granted = Granted()
    granted.remember("Bearer t", time.time() + 60, GRANT, tuple(state))
    assert granted.find("Bearer t", (PULL,), tuple(state)) is GRANT
    state[at] = object()
    assert granted.find("Bearer t", (PULL,), tuple(state)) is None


def test_other_tokens_and_accesses_are_others():
    """Each has its own grant."""
    granted = Granted()
    granted.remember("Bearer t", time.time() + 60, GRANT, ())
    assert granted.find("Bearer u", (PULL,), ()) is None
    for accesses in ((), (PULL, PULL), (Access("repository", "team/b", "pull"),)):
        assert granted.find("Bearer t", accesses, ()) is None


def test_it_ends_with_the_token(monkeypatch):
    """On the second."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    granted = Granted()
    granted.remember("Bearer t", 1060.0, GRANT, ())
    now[0] = 1059.9
    assert granted.find("Bearer t", (PULL,), ()) is GRANT
    now[0] = 1060.0
    assert granted.find("Bearer t", (PULL,), ()) is None


def test_no_token_is_kept():
    """Its digest is."""
    granted = Granted()
    granted.remember("Bearer canary", time.time() + 60, GRANT, ())
    assert "canary" not in repr(granted._known._entries)
