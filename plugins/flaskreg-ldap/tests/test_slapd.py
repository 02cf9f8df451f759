"""The identity source against a real slapd."""

from __future__ import annotations

import logging
import socket

import ldap
import pytest
from click.testing import CliRunner
from flaskreg_ldap.commands import ldap_command
from flaskreg_ldap.source import make_source
from flaskreg_policy.identity import WrongCredentials
from slapd_server import SECRET
from slapd_server import SUFFIX

from flaskreg.errors import Unavailable


pytestmark = pytest.mark.live

ALICE = ("alice", "alice's password")
TEAM = f"cn=team,ou=groups,{SUFFIX}"
DN = f"uid=alice,ou=people,{SUFFIX}"


def make(parameters, **changes):
    """Return a source."""
    return make_source(parameters | changes, "auth.policy.ldap")


def test_a_good_log_in_has_groups(parameters):
    """By the member's entry, and by the member's name."""
    identity = make(parameters).authenticate(*ALICE, "")
    assert (identity.name, identity.via) == ("alice", "ldap")
    assert identity.groups == {"team", "posix"}


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("nobody", "alice's password"),
        ("", "alice's password"),
        ("*", "alice's password"),
        ("al*", "alice's password"),
        ("alice)(uid=*", "alice's password"),
        ("alice)(|(uid=*", "alice's password"),
        ("alice\0", "alice's password"),
        ("b(o*b)", "alice's password"),
        ("reader", SECRET),
    ],
)
def test_a_wrong_log_in(parameters, user, password):
    """Nothing that is typed is part of a filter, and no password is none."""
    assert make(parameters).authenticate(user, password, "") is None


def test_a_name_that_has_to_be_escaped(parameters):
    """The name is found, in its own filter and in that of the groups."""
    identity = make(parameters).authenticate("b(o*b)", "bob's password", "")
    assert identity.name == "b(o*b)"
    assert identity.groups == {"others"}


def test_the_name_is_the_directory_s_own(parameters):
    """Two spellings are not two users."""
    assert make(parameters).authenticate("ALICE", ALICE[1], "").name == "alice"


@pytest.mark.parametrize("way", ["ldaps", "starttls"])
def test_tls(slapd, parameters, way):
    """A certificate of the CA that is configured is good; others are refused."""
    changes = {"uri": slapd.tls_uri} if way == "ldaps" else {"starttls": True}
    trusted = make(parameters, cacert=slapd.cacert, **changes)
    assert trusted.authenticate(*ALICE, "") is not None
    with pytest.raises(Unavailable):
        make(parameters, **changes).authenticate(*ALICE, "")


def test_tls_of_another_host(slapd, parameters):
    """The certificate has to be that of the host which was asked for."""
    uri = slapd.tls_uri.replace("127.0.0.1", "localhost")
    # "localhost" is the certificate's CN, and with a SAN that is not looked at.
    with pytest.raises(Unavailable):
        make(parameters, uri=uri, cacert=slapd.cacert).authenticate(*ALICE, "")


def test_groups_change_while_a_token_lives(slapd, parameters):
    """The next look tells; a user that is gone is refused."""
    source = make(parameters)
    assert source.groups_of("alice") == {"team", "posix"}
    other = f"cn=reader,{SUFFIX}".encode()
    slapd.change(TEAM, (ldap.MOD_REPLACE, "member", [other]))
    try:
        assert source.groups_of("alice") == {"posix"}
    finally:
        slapd.change(TEAM, (ldap.MOD_REPLACE, "member", [DN.encode()]))
    with pytest.raises(WrongCredentials):
        source.groups_of("nobody")


def test_a_good_log_in_is_remembered_briefly(slapd, parameters):
    """A changed password holds when the memory is over; a wrong one is asked about."""
    source, forgetful = make(parameters, cache="1m"), make(parameters)
    assert source.authenticate(*ALICE, "")
    slapd.change(DN, (ldap.MOD_REPLACE, "userPassword", [b"another"]))
    try:
        assert source.authenticate(*ALICE, "")
        assert source.authenticate("alice", "another", "")
        assert forgetful.authenticate(*ALICE, "") is None
        assert source.authenticate("alice", "wrong", "") is None
    finally:
        slapd.change(DN, (ldap.MOD_REPLACE, "userPassword", [ALICE[1].encode()]))


def test_a_wrong_bindpassword(parameters, caplog):
    """It is told to the operator, and no secret is."""
    wrong = "canary 9d1e"
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as caught:
        make(parameters, bindpassword=wrong).authenticate(*ALICE, "")
    told = caplog.text + str(caught.value) + str(caught.getrepr("long"))
    assert "Invalid credentials" in told
    for secret in (wrong, SECRET):
        assert secret not in caplog.text + str(caught.value)


def test_a_server_that_says_nothing(parameters):
    """A log-in ends in time, with an error that is no wrong password."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        source = make(parameters, uri=uri, timeout="200ms")
        with pytest.raises(Unavailable):
            source.authenticate(*ALICE, "")
        assert source.groups_of("alice") is None


def test_the_command(parameters, tmp_path):
    """It prints whom a log-in would find."""
    lines = "".join(f"      {key}: {value!r}\n" for key, value in parameters.items())
    config = tmp_path / "config.yml"
    config.write_text(
        "version: 0.1\nstorage: inmemory\nauth:\n  policy:\n    keys: keys\n"
        f"    rules: []\n    ldap:\n{lines}"
    )
    done = CliRunner().invoke(ldap_command, ["find", "alice", str(config)])
    assert done.output.splitlines() == [
        "user: alice",
        f"entry: {DN}",
        "group: posix",
        "group: team",
    ]
    missing = CliRunner().invoke(ldap_command, ["find", "nobody", str(config)])
    assert missing.exit_code == 1
    assert SECRET not in done.output + missing.output
