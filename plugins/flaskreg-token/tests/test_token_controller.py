"""The controller: its contract, its parameters, and its challenges."""

from __future__ import annotations

import json
import logging
import os

import pytest
from flaskreg_token import make_token
from flaskreg_token.settings import PARAMETERS
from token_forge import ISSUER
from token_forge import NAME
from token_forge import SERVICE

from flaskreg.access import Access
from flaskreg.config import ConfigError
from flaskreg.errors import Unauthorized
from flaskreg.testing import AccessControllerTests
from flaskreg.testing import PluginTests
from flaskreg.testing.access import parse_challenge


REALM = "https://issuer.example.com/token"
PULL = Access("repository", NAME, "pull")
PUSH = Access("repository", NAME, "push")
DELETE = Access("repository", NAME, "delete")
OTHER = Access("repository", "other", "pull")
CATALOG = Access("registry", "catalog", "*")


def bearer(token):
    """Return the header of a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def parameters(forge, write_jwks):
    """Return good parameters."""
    return {
        "realm": REALM,
        "service": SERVICE,
        "issuer": ISSUER,
        "jwks": write_jwks(*forge.jwks()),
    }


@pytest.fixture
def controller(parameters):
    """Return a controller of them."""
    return make_token(parameters)


@pytest.fixture
def refuse(controller):
    """Return a callable that gives the challenge of a request that is refused."""

    def call(headers, *accesses):
        with pytest.raises(Unauthorized) as caught:
            controller.authorize(headers, accesses)
        return caught.value.challenge

    return call


class TestTokenAccess(AccessControllerTests):
    """Everything that the contract of access controllers promises."""

    limits_access = True

    @pytest.fixture
    def controller(self, parameters):
        """Return the controller."""
        return make_token(parameters)

    @pytest.fixture
    def accesses(self):
        """Return what the token is for."""
        return (PULL, PUSH)

    @pytest.fixture
    def denied(self):
        """Return what it is not for."""
        return DELETE

    @pytest.fixture
    def good_request(self, forge):
        """Return a token."""
        return bearer(forge.token())

    @pytest.fixture
    def bad_request(self, forge):
        """Return a token that has expired."""
        return bearer(forge.token(exp=1))


class TestTokenPlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "token"
    distribution = "flaskreg-token"
    parameters = PARAMETERS

    @pytest.fixture(autouse=True)
    def _files(self, parameters):
        self._parameters = parameters

    def valid_parameters(self, name):
        """Return what there has to be."""
        del name
        return self._parameters


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"realm": None}, "auth.token.realm"),
        ({"realm": ""}, "auth.token.realm"),
        ({"realm": "\u00fc"}, "auth.token.realm"),
        ({"service": "a\nb"}, "auth.token.service"),
        ({"issuer": 1}, "auth.token.issuer"),
        ({"jwks": None}, "rootcertbundle or jwks is required"),
        ({"jwks": 1}, "auth.token.jwks"),
        ({"jwks": "/does/not/exist"}, "auth.token.jwks: /does/not/exist"),
        ({"rootcertbundle": "/does/not/exist"}, "auth.token.rootcertbundle"),
        ({"signingalgorithms": "RS256"}, "auth.token.signingalgorithms"),
        ({"signingalgorithms": ["none"]}, "auth.token.signingalgorithms"),
        ({"autoredirect": "yes"}, "auth.token.autoredirect"),
        ({"autoredirect": True, "autoredirectpath": "x"}, "autoredirectpath"),
        ({"sevice": "s"}, "did you mean auth.token.service"),
    ],
)
def test_a_wrong_parameter_is_refused(parameters, changes, named):
    """One line says which, and where it stands."""
    with pytest.raises(ConfigError, match=named) as caught:
        make_token({**parameters, **changes})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "auth.token.jwks"),
        ("[]", "keys"),
        ('{"keys": [1]}', "list of keys"),
        ('{"keys": [{"kty": "EC", "crv": "P-256", "x": "!", "y": "!"}]}', r"keys\[0\]"),
        ('{"keys": []}', "hold no key"),
        ('{"keys": [{"kty": "unknown"}]}', "hold no key"),
        ("[" * 100000, "auth.token.jwks"),
    ],
)
def test_a_wrong_jwks_is_told_at_the_start(parameters, content, sentence):
    """As in distribution, which does not start without a key."""
    with open(parameters["jwks"], "w") as stream:
        stream.write(content)
    with pytest.raises(ConfigError, match=sentence):
        make_token(parameters)


def test_a_wrong_bundle_is_told_at_the_start(parameters, tmp_path):
    """Also when there is a JWKS beside it."""
    path = tmp_path / "bundle.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match=r"auth\.token\.rootcertbundle"):
        make_token({**parameters, "rootcertbundle": str(path)})


# Challenges, as distribution writes them

BASE = f'Bearer realm="{REALM}",service="{SERVICE}"'


def test_challenges_without_a_token(refuse):
    """They say what to ask for, sorted, and no error."""
    assert refuse({}) == BASE
    assert refuse({}, PULL) == f'{BASE},scope="repository:{NAME}:pull"'
    assert refuse({}, CATALOG) == f'{BASE},scope="registry:catalog:*"'
    assert refuse({}, DELETE) == f'{BASE},scope="repository:{NAME}:delete"'
    scope = f"repository:other:pull repository:{NAME}:pull,push"
    assert refuse({}, PUSH, PULL, OTHER) == f'{BASE},scope="{scope}"'
    for value in ("", "Bearer", "Bearer ", "Basic YTpi", "Digest x"):
        assert refuse({"Authorization": value}, PULL).count("error") == 0


def test_challenges_of_a_token(refuse, forge):
    """A token that is no good, and one that is not for it; the scope is the same."""
    scope = f'{BASE},scope="repository:{NAME}:delete"'
    invalid = bearer(forge.token(iss="other"))
    assert refuse(invalid, DELETE) == f'{scope},error="invalid_token"'
    assert refuse(bearer(forge.token()), DELETE) == (
        f'{scope},error="insufficient_scope"'
    )
    assert refuse(bearer("x")) == f'{BASE},error="invalid_token"'


def test_a_token_for_one_repository_used_on_another(refuse, controller, forge):
    """It is 401 with the scope that is missing, never 403, also for a mount."""
    token = bearer(forge.token())
    assert controller.authorize(token, (PULL, PUSH))
    told = refuse(token, PULL, PUSH, OTHER)
    _, parameters = parse_challenge(told)
    assert parameters["scope"] == (f"repository:other:pull repository:{NAME}:pull,push")
    assert parameters["error"] == "insufficient_scope"


@pytest.mark.parametrize(
    ("headers", "realm"),
    [
        ({"Host": "r.example.com:5000"}, "https://r.example.com:5000/auth/token"),
        ({"Host": "r", "X-Forwarded-Proto": "http"}, "http://r/auth/token"),
        ({"Host": "r", "X-Forwarded-Proto": "HTTPS, http"}, "https://r/auth/token"),
        ({"Host": "r", "X-Forwarded-Proto": "javascript"}, "https://r/auth/token"),
        ({"Host": "[::1]:5000"}, "https://[::1]:5000/auth/token"),
        ({"Host": 'r"x'}, REALM),
        ({"Host": "user@r"}, REALM),
        ({}, REALM),
    ],
)
def test_autoredirect(parameters, headers, realm):
    """The realm is of the host that the client asked for, when that is a host."""
    controller = make_token({**parameters, "autoredirect": True})
    with pytest.raises(Unauthorized) as caught:
        controller.authorize(headers, ())
    assert parse_challenge(caught.value.challenge)[1]["realm"] == realm


def test_autoredirectpath(parameters):
    """It can be another one; without autoredirect it means nothing."""
    more = {"autoredirect": True, "autoredirectpath": "/token"}
    with pytest.raises(Unauthorized) as caught:
        make_token({**parameters, **more}).authorize({"Host": "r"}, ())
    assert 'realm="https://r/token"' in caught.value.challenge
    more["autoredirect"] = False
    with pytest.raises(Unauthorized) as caught:
        make_token({**parameters, **more}).authorize({"Host": "r"}, ())
    assert REALM in caught.value.challenge


def test_what_is_told_is_quoted(parameters):
    """As Go quotes it."""
    with pytest.raises(Unauthorized) as caught:
        make_token({**parameters, "service": 'a "b\\'}).authorize({}, ())
    assert caught.value.challenge.endswith('service="a \\"b\\\\"')


def test_the_detail_is_what_was_asked(controller):
    """As in distribution; the base of the API has none."""
    with pytest.raises(Unauthorized) as caught:
        controller.authorize({}, (PULL,))
    assert caught.value.detail == [PULL.to_json()]
    with pytest.raises(Unauthorized) as caught:
        controller.authorize({}, ())
    assert caught.value.detail is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_in_any_case(controller, forge, scheme):
    """The principal is the subject."""
    headers = {"Authorization": f"{scheme} {forge.token()}"}
    assert controller.authorize(headers, (PULL,)).principal.name == "alice"


def test_reasons_are_logged(controller, forge, caplog):
    """With kid, iss, aud and exp, and never the token."""
    tokens = [forge.token(exp=1), forge.token(), f"{forge.token()}A"]
    with caplog.at_level(logging.INFO, "flaskreg.token"):
        for token in tokens:
            with pytest.raises(Unauthorized):
                controller.authorize(bearer(token), (DELETE,))
    expired, narrow, forged = [record.getMessage() for record in caplog.records]
    assert "it has expired" in expired
    assert f"not for repository:{NAME}:delete" in narrow
    assert "signature" in forged
    for line in (expired, narrow, forged):
        for fact in ("kid='p256'", f"iss='{ISSUER}'", f"aud='{SERVICE}'", "exp="):
            assert fact in line
    for token in tokens:
        assert not any(part in caplog.text for part in token.split(".")[1:])


def test_what_a_token_says_cannot_forge_the_log(controller, forge, caplog):
    """It is quoted, and cut."""
    token = forge.token(iss="x\nflaskreg: all is well", aud="y" * 5000)
    with pytest.raises(Unauthorized):
        controller.authorize(bearer(token), ())
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert len(record.getMessage()) < 800


# Files that change


def test_another_jwks_holds_at_once(parameters, forge, write_jwks):
    """A token of a key that is gone is refused, although it was good before."""
    controller = make_token(parameters)
    old, new = bearer(forge.token("p256")), bearer(forge.token("rsa", "RS256"))
    first, second = forge.keys["p256"], forge.keys["rsa"]
    write_jwks(first.as_dict(private=False))
    assert controller.authorize(old, (PULL,))
    with pytest.raises(Unauthorized):
        controller.authorize(new, (PULL,))
    write_jwks(second.as_dict(private=False))
    assert controller.authorize(new, (PULL,))
    with pytest.raises(Unauthorized):
        controller.authorize(old, (PULL,))


@pytest.mark.parametrize("broken", ["{", '{"keys": []}', '{"keys": [{}]}', None])
def test_a_bad_edit_keeps_the_keys(parameters, forge, caplog, broken):
    """With one line in the log."""
    controller = make_token(parameters)
    with open(parameters["jwks"]) as stream:
        good = json.load(stream)
    if broken is None:
        os.unlink(parameters["jwks"])
    else:
        with open(parameters["jwks"], "w") as stream:
            stream.write(broken)
    for _ in range(3):
        assert controller.authorize(bearer(forge.token()), (PULL,))
    (record,) = caplog.records
    assert "the keys of before still hold" in record.getMessage()
    with open(parameters["jwks"], "w") as stream:
        json.dump({"keys": good["keys"][:1]}, stream)
    with pytest.raises(Unauthorized):
        controller.authorize(bearer(forge.token()), (PULL,))
