"""The policy: globs, the order of rules, groups, robots, and a file that changes."""

from __future__ import annotations

import logging
import os

import pytest
from flaskreg_policy.document import make_policy
from flaskreg_policy.globs import parse_glob
from flaskreg_policy.identity import ANONYMOUS
from flaskreg_policy.identity import Identity
from flaskreg_policy.subject import decode_subject
from flaskreg_policy.subject import encode_subject
from hypothesis import given
from hypothesis import strategies as st
from policy_site import allow
from policy_site import deny


ALICE = Identity("alice", via="password")


@pytest.mark.parametrize(
    ("pattern", "length", "matching", "others"),
    [
        ("team/app", 8, ["team/app"], ["team/app/x", "a/team/app", "team/apps"]),
        ("team/*", 5, ["team/app", "team/a-b"], ["team", "team/a/b", "steam/a"]),
        ("team/**", 5, ["team/app", "team/a/b"], ["team", "steam/a"]),
        ("*", 0, ["team"], ["team/app"]),
        ("**", 0, ["team", "team/app/x"], []),
        ("a?c", 2, ["abc", "a-c"], ["a/c", "ac", "abbc"]),
        ("**/app", 4, ["team/app", "a/b/app"], ["app", "team/app/x"]),
        ("a.c", 3, ["a.c"], ["abc"]),
    ],
)
def test_globs(pattern, length, matching, others):
    """They match whole names, and a star stops at a slash."""
    glob = parse_glob(pattern)
    assert glob.length == length
    assert all(glob.matches(name) for name in matching)
    assert not any(glob.matches(name) for name in others)


def may(rules, identity=ALICE, action="pull", repository="team/app", **more):
    """Return whether a policy of rules allows something."""
    policy = make_policy({"rules": rules, **more}, "policy")
    return policy.may(identity, action, repository)


def test_nothing_is_allowed_by_default():
    """Without a rule, and with one about something else."""
    assert not may([])
    assert not may([allow("team/*", "alice", "push")])
    assert not may([allow("other/*", "alice")])
    assert not may([allow("team/*", "bob")])


def test_the_longest_glob_decides():
    """In whichever order the rules stand."""
    rules = [allow("**", "alice"), deny("team/*", "alice"), allow("team/a*", "alice")]
    for order in (rules, rules[::-1]):
        assert may(order)
        assert not may(order, repository="team/b")
        assert may(order, repository="other/b")


def test_a_denial_goes_before_what_is_as_long():
    """In whichever order the rules stand, and within one rule."""
    rules = [allow("team/*", "alice"), deny("*/team", "alice"), deny("te*/", "bob")]
    for order in (rules, rules[::-1]):
        assert may(order)
    rules = [allow("team/*", "alice"), deny("team/**", "authenticated")]
    for order in (rules, rules[::-1]):
        assert not may(order)
    assert not may([allow("team/*", "alice", "pull") | {"deny": ["pull"]}])


def test_a_rule_about_something_else_does_not_count():
    """A longer glob that names another action, or others, leaves a shorter one."""
    assert may([allow("**", "alice"), deny("team/app", "alice", "push")])
    assert may([allow("**", "alice"), deny("team/app", "bob")])


def test_subjects():
    """Users and groups are told apart, whatever their names are."""
    policy = {"users": {"alice": {"groups": ["dev"]}}, "groups": {"ops": ["alice"]}}
    assert may([allow("**", "group:dev")], **policy)
    assert may([allow("**", "group:ops")], **policy)
    assert may([allow("**", "user:alice")], **policy)
    assert not may([allow("**", "dev")], **policy)
    assert not may([allow("**", "group:dev")], Identity("group:dev"), **policy)
    assert may([allow("**", "user:group:dev")], Identity("group:dev"), **policy)
    assert may([allow("**", "group:far")], Identity("x", frozenset({"far"})))
    assert not may([allow("**", "anonymous:x")], ANONYMOUS)


def test_anonymous_is_everybody():
    """Whoever has credentials can leave them out."""
    assert may([allow("**", "anonymous")])
    assert may([allow("**", "anonymous")], ANONYMOUS)
    assert may([allow("**", "authenticated")])
    assert not may([allow("**", "authenticated")], ANONYMOUS)


def test_robots_and_disabled_users():
    """A robot has no password; who is disabled has nothing."""
    document = {
        "robots": {"ci": {}, "old": {"disabled": True}},
        "users": {"alice": {}, "gone": {"disabled": True}},
    }
    policy = make_policy(document, "policy")
    assert policy.refusal(Identity("ci", via="password"))
    assert policy.refusal(Identity("ci", via="oidc"))
    assert not policy.refusal(Identity("ci", via="apikey"))
    assert policy.refusal(Identity("old", via="apikey"))
    assert policy.refusal(Identity("gone", via="apikey"))
    assert not policy.refusal(ALICE)


@given(
    name=st.text(min_size=1),
    groups=st.frozensets(st.text(min_size=1)),
    via=st.sampled_from(["password", "ldap", "oidc", "certificate"]),
    key=st.sampled_from(["", "0f3a"]),
)
def test_a_subject_is_an_identity(name, groups, via, key):
    """Whatever characters stand in names."""
    identity = Identity(name, groups, via, key)
    assert decode_subject(encode_subject(identity)) == identity
    assert encode_subject(ANONYMOUS) == ""
    assert decode_subject("") == ANONYMOUS
    assert encode_subject(ALICE) == "alice"


def test_the_file_is_followed(make_site, tmp_path, caplog):
    """A good edit holds at once; a bad one is told once, and what was before holds."""
    path = tmp_path / "policy.yml"
    path.write_text("rules: []")
    site = make_site(path=str(path))
    headers = site.login("alice")

    def status():
        return site.call("GET", "team/app/tags/list", headers).status_code

    assert status() == 403
    path.write_text("rules: [{repositories: team/*, subjects: alice, allow: pull}]")
    assert status() == 404
    for bad in ("rules: [{", "rules: 1", "", "ruls: []", "rules: [{allow: pull}]"):
        caplog.clear()
        path.write_text(bad)
        with caplog.at_level(logging.ERROR, "flaskreg.policy"):
            assert [status() for _ in range(3)] == [404] * 3
        (record,) = [each for each in caplog.records if "policy.yml" in each.message]
        assert "still holds" in record.message
    caplog.clear()
    path.unlink()
    assert [status() for _ in range(2)] == [404] * 2
    assert len(caplog.records) == 1
    other = tmp_path / "other"
    other.write_text("rules: []")
    os.replace(other, path)
    assert status() == 403
