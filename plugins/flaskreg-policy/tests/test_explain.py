"""``flaskreg auth explain`` says what the server does, for policies of any kind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from flaskreg_policy.commands import auth
from flaskreg_policy.identity import Identity
from flaskreg_policy.policy import ACTIONS
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from policy_site import CONFIG
from policy_site import MANIFEST_TYPE
from policy_site import Site
from policy_site import manifest

from flaskreg.digest import Digest


NAMES = ("a", "a/b", "a/b/c", "b", "b/a")
GLOBS = (*NAMES, "*", "**", "a/*", "a/**", "**/a", "?", "a/b*", "*/a")
USERS = ("alice", "bob", "robot")
GROUPS = ("dev", "ops")
SUBJECTS = (*USERS, *(f"group:{name}" for name in GROUPS), "anonymous", "authenticated")


def some(values, least=1):
    """Return a strategy of lists of some values."""
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True)


_rules = st.fixed_dictionaries(
    {"repositories": some(GLOBS), "subjects": some(SUBJECTS)},
    optional={"allow": some(ACTIONS), "deny": some(ACTIONS)},
).filter(lambda rule: "allow" in rule or "deny" in rule)

_policies = st.fixed_dictionaries(
    {
        "rules": st.lists(_rules, max_size=6),
        "groups": st.dictionaries(st.sampled_from(GROUPS), some(USERS), max_size=2),
        "users": st.dictionaries(
            st.sampled_from(USERS[:2]),
            st.fixed_dictionaries({"disabled": st.booleans()}),
            max_size=2,
        ),
        "robots": st.just({"robot": {}}),
    }
)

_questions = st.lists(
    st.tuples(
        st.sampled_from(["anonymous", *USERS]),
        st.sampled_from(ACTIONS),
        st.sampled_from(NAMES),
        st.frozensets(st.sampled_from(GROUPS), max_size=2),
        st.sampled_from(["basic", "bearer"]),
    ),
    min_size=1,
    max_size=6,
)


def explained(config, user, action, name, groups):
    """Return whether the command says that it is allowed, and what it says."""
    options = ["--groups", ",".join(sorted(groups))] if groups else []
    done = CliRunner().invoke(
        auth, ["explain", user, action, name, *options, str(config)]
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done
    assert done.exit_code in (0, 1), done.output
    word = "allowed" if done.exit_code == 0 else "denied"
    assert done.output.startswith(f"{word}: {user} {action} {name}: ")
    return done.exit_code == 0, done.output


def served(site, user, action, name, groups, scheme):
    """Return whether the server does it."""
    if user == "anonymous":
        headers = {}
    elif groups or scheme == "bearer":
        via = "apikey" if user == "robot" or not groups else "oidc"
        key = ""
        if via == "apikey":
            site.login(user)
            key = next(key.id for key in site.store.keys().keys if key.user == user)
        scopes = [(name, each) for each in ("pull", "push", "delete")]
        headers = site.issue(Identity(user, groups, via, key), *scopes)
    else:
        headers = site.login(user)
    return do(site, headers, action, name)


def do(site, headers, action, name):
    """Do an action in a repository that holds an image; return whether it was done."""
    path = f"{name}/manifests/latest"
    registry = site.direct()
    registry.repository(name).manifests().put(
        manifest(), MANIFEST_TYPE, None, ["latest"], []
    )
    if action == "pull":
        status = site.call("GET", path, headers).status_code
    elif action == "delete":
        status = site.call("DELETE", path, headers).status_code
    elif action == "push":
        status = site.call("POST", f"{name}/blobs/uploads/", headers).status_code
    else:
        content = manifest(note="another")
        answer = site.call("PUT", path, headers, data=content,
                           content_type=MANIFEST_TYPE)  # fmt: skip
        status = answer.status_code
    assert status in (200, 201, 202, 401, 403), status
    return status < 300


@given(policy=_policies, questions=_questions)
@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_it_agrees_with_the_server(policy, questions):
    """Over HTTP, with the controller that the server has."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = Site(folder, **policy)
        config = folder / "config.yml"
        config.write_text(yaml.safe_dump({
            "version": "0.1",
            "storage": {"inmemory": {}},
            "auth": {"policy": site.parameters},
        }))  # fmt: skip
        for name in NAMES:
            blobs = site.direct().repository(name).uploads.start("sha256", "")
            blobs.commit(Digest.of(CONFIG), iter([CONFIG]), 0)
        for user, action, repository, groups, scheme in questions:
            # A robot has no groups of a provider: it logs in by keys alone.
            given_groups = frozenset() if user in ("robot", "anonymous") else groups
            says, text = explained(config, user, action, repository, given_groups)
            does = served(site, user, action, repository, given_groups, scheme)
            assert says == does, text


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        (("alice", "pull", "team/a"), 0, "rule 1 (all of it) allows it by 'team/*'"),
        (("alice", "push", "team/x"), 1, "rule 2 denies it by 'team/x'"),
        (("alice", "pull", "other"), 1, "no rule applies"),
        (("anonymous", "pull", "team/a"), 1, "no rule applies"),
        (("gone", "pull", "team/a"), 1, "the policy disables the user"),
        (("bob", "pull", "far", "--groups", "dev,ops"), 0, "rule 3 allows"),
    ],
)
def test_what_it_says(tmp_path, question, status, said):
    """The rule, and its glob."""
    policy = tmp_path / "policy.yml"
    policy.write_text(
        "rules:\n"
        "- {name: all of it, repositories: team/*, subjects: alice, allow: '*'}\n"
        "- {repositories: team/x, subjects: alice, deny: push}\n"
        "- {repositories: far, subjects: 'group:dev', allow: pull}\n"
        "users: {gone: {disabled: true}}\n"
    )
    config = tmp_path / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: inmemory\nauth: {{policy: {{path: {policy}}}}}\n"
    )
    done = CliRunner().invoke(auth, ["explain", *question, str(config)])
    assert (done.exit_code, said in done.output) == (status, True), done.output
