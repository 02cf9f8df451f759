"""The plugin: its distribution, the contract of controllers, its parameters."""

from __future__ import annotations

import pytest
from flaskreg_policy import make_controller
from flaskreg_policy.document import KEYS
from flaskreg_policy.settings import PolicySettings
from policy_site import Site
from policy_site import allow
from policy_site import basic
from policy_site import bearer

from flaskreg.access import Access
from flaskreg.config import ConfigError
from flaskreg.testing import AccessControllerTests
from flaskreg.testing import PluginTests


RULES = [allow("library/*", "alice", "pull", "push"), allow("public/**", "bob")]
GOOD = {"keys": "keys", "rules": []}
DENIED = Access("repository", "private/app", "pull")


class TestPolicyPlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "policy"
    distribution = "flaskreg-policy"
    parameters = (*PolicySettings.model_fields, *KEYS)

    def valid_parameters(self, name):
        """Return a policy that allows nothing."""
        del name
        return GOOD


class PolicyControllerTests(AccessControllerTests):
    """Everything that the contract of access controllers promises."""

    limits_access = True

    @pytest.fixture
    def site(self, tmp_path):
        """Return a registry."""
        return Site(tmp_path, rules=RULES)

    @pytest.fixture
    def controller(self, site):
        """Return its controller."""
        return site.app.site.controller

    @pytest.fixture
    def denied(self):
        """Return what alice may not do."""
        return DENIED


class TestPolicyByApiKey(PolicyControllerTests):
    """Basic credentials."""

    @pytest.fixture
    def good_request(self, site):
        """Return an API key as a password."""
        return site.login("alice")

    @pytest.fixture
    def bad_request(self, site):
        """Return the API key of somebody else."""
        return basic("alice", site.key("bob"))


class TestPolicyByToken(PolicyControllerTests):
    """A token of our own."""

    @pytest.fixture
    def good_request(self, site):
        """Return a token from the endpoint."""
        scope = "repository:library/alpine:pull,push"
        answer = site.token(site.login("alice"), scope, "repository:private/app:pull")
        return bearer(answer.json["token"])

    @pytest.fixture
    def bad_request(self, good_request):
        """Return a token with another signature."""
        head, payload, signature = good_request["Authorization"].split(".")
        middle = len(signature) // 2
        other = "A" if signature[middle] != "A" else "B"
        signature = signature[:middle] + other + signature[middle + 1 :]
        return {"Authorization": f"{head}.{payload}.{signature}"}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "auth.policy: path"),
        ({"keys": "keys"}, "rules"),
        ({"rules": []}, "auth.policy.keys"),
        ({"path": "/does/not/exist", "keys": "k"}, "/does/not/exist"),
        ({"path": "p", "rules": [], "keys": "k"}, "auth.policy.path"),
        (GOOD | {"lifetime": "1s"}, "auth.policy.lifetime"),
        (GOOD | {"realm": 'a"b'}, "auth.policy.realm"),
        (GOOD | {"service": "a\nb"}, "auth.policy.service"),
        (GOOD | {"nothing": 1}, "auth.policy.nothing"),
        (GOOD | {"robot": 1}, "auth.policy.robots"),
        (GOOD | {"users": {"anonymous": {}}}, "auth.policy.users"),
        (GOOD | {"users": {"a": {}}, "robots": {"a": {}}}, "robot"),
        (GOOD | {"rules": [{"repositories": "a"}]}, r"rules\[0\].subjects"),
        (GOOD | {"rules": [{"repositories": "a", "subjects": "b"}]}, "allow or deny"),
        (GOOD | {"rules": [allow("A/*", "b")]}, r"rules\[0\].repositories"),
        (GOOD | {"rules": [allow("a", "group:")]}, r"rules\[0\].subjects"),
        (GOOD | {"rules": [allow("a", "b", "write")]}, r"rules\[0\].allow"),
        (GOOD | {"oidc": [{"issuer": "https://a"}]}, r"oidc\[0\].audience"),
        (GOOD | {"oidc": {"issuer": "http://a", "audience": "b"}}, "https"),
        (
            GOOD | {"oidc": {"issuer": "https://a", "audience": "b",
                             "algorithms": "HS256"}},
            "algorithms",
        ),
        (
            GOOD | {"oidc": [{"issuer": "https://a", "audience": "b"}] * 2},
            "named twice",
        ),
        (GOOD | {"mtls": {"user": "ou"}}, "auth.policy.mtls.user"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused(parameters, named):
    """One line says which, and what would be right."""
    with pytest.raises(ConfigError, match=named) as caught:
        make_controller(parameters)
    assert len(str(caught.value).splitlines()) == 1
