"""The plugin: its distribution, its parameters, and what needs no server."""

from __future__ import annotations

import traceback

import pytest
from flaskreg_ldap.directory import Entry
from flaskreg_ldap.directory import _filled
from flaskreg_ldap.settings import LdapSettings
from flaskreg_ldap.source import make_source
from flaskreg_policy.settings import parse_parameters

from flaskreg.config import ConfigError
from flaskreg.testing import PluginTests


KEY = "auth.policy.ldap"
GOOD = {"uri": "ldaps://ldap.example.com", "base": "dc=example,dc=com"}


class TestLdapPlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "ldap"
    distribution = "flaskreg-ldap"
    parameters = tuple(LdapSettings.model_fields)


def test_the_policy_finds_it():
    """By the entry point, under the name of the parameter."""
    parameters = {"keys": "keys", "rules": [], "ldap": GOOD}
    (source,) = parse_parameters(parameters).sources
    assert source.name == "ldap"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"uri": None}, f"{KEY}.uri"),
        ({"uri": "http://ldap.example.com"}, f"{KEY}.uri"),
        ({"uri": "ldaps:///dc=org"}, f"{KEY}.uri"),
        ({"uri": "ldap://ldap.example.com"}, "starttls"),
        ({"starttls": True}, "starttls"),
        ({"base": None}, f"{KEY}.base"),
        ({"userfilter": "uid={user}"}, f"{KEY}.userfilter"),
        ({"userfilter": "(uid=alice)"}, "userfilter"),
        ({"binddn": "cn=reader"}, "bindpassword"),
        ({"timeout": "0s"}, f"{KEY}.timeout"),
        ({"cache": "2h"}, f"{KEY}.cache"),
        ({"passwort": "x"}, f"{KEY}.passwort"),
    ],
)
def test_a_wrong_parameter_is_refused(changes, named):
    """One line says which, and what would be right."""
    with pytest.raises(ConfigError, match=named) as caught:
        make_source(GOOD | changes, KEY)
    assert len(str(caught.value).splitlines()) == 1


def test_a_bindpassword_is_not_told():
    """Neither in an error about it nor in what the settings print."""
    with pytest.raises(ConfigError) as caught:
        make_source(GOOD | {"bindpassword": "canary 77"}, KEY)
    assert "canary" not in str(caught.value)
    settings = LdapSettings(**GOOD, binddn="cn=reader", bindpassword="canary 77")
    assert "canary" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    "changes", [{}, {"uri": "ldap://a.example.com"}, {"bindpasswrd": 1}, {"base": None}]
)
def test_a_bindpassword_is_not_told_by_the_policy(changes):
    """Neither by an error about the source, nor by what holds it."""
    ldap = GOOD | {"binddn": "cn=reader", "bindpassword": "canary 77"} | changes
    parameters = {"keys": "keys", "rules": [], "ldap": ldap}
    try:
        told = repr(parse_parameters(parameters))
    except ConfigError as error:
        told = "".join(traceback.format_exception(error))
    assert "canary" not in told


def test_loopback_needs_no_tls():
    """Nobody listens between two processes of one machine."""
    make_source(GOOD | {"uri": "ldap://127.0.0.1:1389"}, KEY)
    make_source(GOOD | {"uri": "ldap://a.example.com", "plaintext": True}, KEY)


def test_filters_are_filled_at_once():
    """What stands in a name is neither syntax nor looked into again."""
    entry = Entry("uid={user},dc=*", "a(b){dn}")
    wanted = "(|(m=uid={user},dc=\\2a)(u=a\\28b\\29{dn}))"
    assert _filled("(|(m={dn})(u={user}))", entry) == wanted
