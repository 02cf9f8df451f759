"""A registry whose users are those of a real slapd."""

from __future__ import annotations

import json
import logging

import ldap
import pytest
from slapd_server import SECRET
from slapd_server import SUFFIX
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.config import Settings


pytestmark = pytest.mark.live

ALICE = ("alice", "alice's password")
BOB = ("b(o*b)", "bob's password")
TEAM = f"cn=team,ou=groups,{SUFFIX}"
SCOPE = "repository:team/app:pull,push"
TAGS = "/v2/team/app/tags/list"


@pytest.fixture
def client(parameters, tmp_path):
    """Return a client of a registry that lets one group of the directory in."""
    rules = [{"repositories": "team/**", "subjects": "group:team", "allow": "*"}]
    policy = {"keys": str(tmp_path / "keys"), "rules": rules, "ldap": parameters}
    settings = {
        "storage": {"driver": "inmemory"},
        "auth": {"controller": "policy", "parameters": policy},
    }
    return Client(create_app(Settings.model_validate(settings)))


def token(client, user):
    """Return the answer of the token endpoint."""
    query = {"service": "flaskreg", "scope": SCOPE}
    return client.get("/auth/token", query_string=query, auth=user)


def bearer(answer):
    """Return the header of a token."""
    return {"Authorization": f"Bearer {json.loads(answer.data)['token']}"}


def test_a_group_of_the_directory_is_one_of_the_policy(client, caplog):
    """By a password and by a token; nobody else, and no wrong password."""
    with caplog.at_level(logging.DEBUG):
        assert client.get(TAGS, auth=ALICE).status_code == 404
        assert client.get(TAGS, auth=BOB).status_code == 403
        assert client.get(TAGS, auth=("alice", "wrong")).status_code == 401
        assert token(client, ("alice", "wrong")).status_code == 401
        headers = bearer(token(client, ALICE))
        assert client.get(TAGS, headers=headers).status_code == 404
        pushed = client.post("/v2/team/app/blobs/uploads/", headers=headers)
        assert pushed.status_code == 202
        assert client.get(TAGS, headers=bearer(token(client, BOB))).status_code == 401
    assert "b(o*b)" in caplog.text
    for secret in (SECRET, ALICE[1], BOB[1], headers["Authorization"][7:]):
        assert secret not in caplog.text


def test_who_leaves_the_group_is_refused(client, slapd):
    """Also with a token that is out."""
    headers = bearer(token(client, ALICE))
    assert client.get(TAGS, headers=headers).status_code == 404
    other = f"cn=reader,{SUFFIX}".encode()
    slapd.change(TEAM, (ldap.MOD_REPLACE, "member", [other]))
    try:
        assert client.get(TAGS, headers=headers).status_code == 401
    finally:
        member = f"uid=alice,ou=people,{SUFFIX}".encode()
        slapd.change(TEAM, (ldap.MOD_REPLACE, "member", [member]))
    assert client.get(TAGS, headers=headers).status_code == 404
