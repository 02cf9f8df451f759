"""The controllers ``none`` and ``silly``: the suite, and what only they promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.config import ConfigError
from flaskreg.defaults.open_access import OpenAccess
from flaskreg.defaults.open_access import SillyAccess
from flaskreg.defaults.open_access import flaskreg_register_access_controllers
from flaskreg.errors import Unauthorized
from flaskreg.testing import AccessControllerTests


SILLY = {"realm": "https://auth.example/token", "service": "registry"}


class TestOpenAccess(AccessControllerTests):
    """The suite over ``none``."""

    anonymous = True
    checks_credentials = False

    @pytest.fixture
    def controller(self) -> AccessController:
        """Return the controller."""
        return OpenAccess()

    @pytest.fixture
    def good_request(self) -> Mapping[str, str]:
        """Return no credentials."""
        return {}

    @pytest.fixture
    def bad_request(self) -> Mapping[str, str]:
        """Return credentials that nobody looks at."""
        return {"Authorization": "Basic bm90OnRoaXM="}


class TestSillyAccess(AccessControllerTests):
    """The suite over ``silly``."""

    checks_credentials = False

    @pytest.fixture
    def controller(self) -> AccessController:
        """Return the controller."""
        return SillyAccess(**SILLY)

    @pytest.fixture
    def good_request(self) -> Mapping[str, str]:
        """Return any credentials."""
        return {"Authorization": "seriously, anything"}

    @pytest.fixture
    def bad_request(self) -> Mapping[str, str]:
        """Return none."""
        return {}


def make(name: str, parameters: Mapping[str, Any]) -> AccessController:
    """Make a controller as the configuration does."""
    return flaskreg_register_access_controllers()[name](parameters)


def test_the_hook_offers_both() -> None:
    """By the names that distribution has for them."""
    assert isinstance(make("none", {}), OpenAccess)
    assert isinstance(make("silly", SILLY), SillyAccess)


@pytest.mark.parametrize(
    ("name", "parameters", "named"),
    [
        ("none", {"realm": "r"}, "auth.none.realm"),
        ("silly", {}, "auth.silly.realm"),
        ("silly", {"realm": "r"}, "auth.silly.service"),
        ("silly", {**SILLY, "relm": "r"}, "auth.silly.relm"),
        ("silly", {**SILLY, "realm": ""}, "auth.silly.realm"),
        ("silly", {**SILLY, "realm": 5}, "auth.silly.realm"),
        ("silly", {**SILLY, "service": 'a"b'}, "auth.silly.service"),
        ("silly", {**SILLY, "service": "a\nb"}, "auth.silly.service"),
    ],
)
def test_a_wrong_parameter_is_refused(
    name: str, parameters: Mapping[str, Any], named: str
) -> None:
    """In one line, by its place in the configuration."""
    with pytest.raises(ConfigError, match=named) as caught:
        make(name, parameters)
    assert "\n" not in str(caught.value)


def test_the_challenge_is_that_of_distribution() -> None:
    """Sorted, so that it is always the same; without a scope for the base."""
    silly = make("silly", SILLY)
    accesses = [
        Access("repository", "b", "push"),
        Access("repository", "b", "pull"),
        Access("repository", "a", "pull"),
    ]
    with pytest.raises(Unauthorized) as caught:
        silly.authorize({}, accesses)
    base = 'Bearer realm="https://auth.example/token",service="registry"'
    scope = 'scope="repository:a:pull repository:b:pull,push"'
    assert caught.value.challenge == f"{base},{scope}"
    assert caught.value.detail[0] == {
        "Type": "repository",
        "Class": "",
        "Name": "b",
        "Action": "push",
    }
    with pytest.raises(Unauthorized) as caught:
        silly.authorize({"Authorization": ""}, [])
    assert caught.value.challenge == base
    assert silly.authorize({"Authorization": "x"}, []).principal.name == "silly"
