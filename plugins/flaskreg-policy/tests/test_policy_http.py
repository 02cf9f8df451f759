"""What clients see: challenges, tokens, nobody in particular, changes."""

from __future__ import annotations

import logging

import bcrypt
import pytest
from flaskreg_policy.identity import Identity
from flaskreg_policy.peek import peek
from flaskreg_token.keys import KeyRing
from flaskreg_token.keys import generate_pem
from policy_site import Site
from policy_site import allow
from policy_site import basic
from policy_site import bearer
from policy_site import deny
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.config import Settings
from flaskreg.testing.access import parse_challenge


RULES = [
    allow("public/**", "anonymous", "pull"),
    allow("public/**", "alice"),
    allow("team/**", "group:dev", "pull", "push"),
    allow("catalogued/**", "alice", "pull"),
]
GROUPS = {"dev": ["alice"]}
TAGS = "tags/list"


@pytest.fixture
def site(make_site):
    """Return a registry with something public."""
    return make_site(rules=RULES, groups=GROUPS)


def challenge(answer):
    """Return the parameters of an answer's challenge."""
    assert answer.status_code == 401
    scheme, parameters = parse_challenge(answer.headers["WWW-Authenticate"])
    assert scheme == "Bearer"
    return parameters


def test_the_base_asks_for_credentials(site):
    """Also where nobody in particular may pull, so that clients send them later."""
    wanted = {"realm": "http://localhost/auth/token", "service": "flaskreg"}
    assert challenge(site.call("GET", "")) == wanted
    assert site.call("GET", "", site.login("alice")).status_code == 200
    assert "error" not in challenge(site.call("GET", "", basic("alice", "wrong")))
    assert challenge(site.call("GET", "", bearer("wrong")))["error"] == "invalid_token"


def test_nobody_in_particular(site):
    """They pull what is public, by a token and without, and nothing more."""
    scopes = ("repository:public/a:pull,push", "repository:team/a:pull")
    token = site.token({}, *scopes).json["token"]
    for headers in ({}, bearer(token)):
        assert site.call("GET", f"public/a/{TAGS}", headers).status_code == 404
        assert site.call("POST", "public/a/blobs/uploads/", headers).status_code == 401
        assert site.call("GET", f"team/a/{TAGS}", headers).status_code == 401
    assert site.call("GET", "", bearer(token)).status_code == 200
    assert site.call("GET", "_catalog").status_code == 200


def test_a_token_for_one_repository_used_on_another(site):
    """The challenge names what is missing, and the token for that is good."""
    headers = site.login("alice")
    token = bearer(site.token(headers, "repository:team/a:pull,push").json["token"])
    assert site.call("POST", "team/a/blobs/uploads/", token).status_code == 202
    told = challenge(site.call("POST", "team/b/blobs/uploads/", token))
    assert told["scope"] == "repository:team/b:pull,push"
    assert told["error"] == "insufficient_scope"
    token = bearer(site.token(headers, told["scope"]).json["token"])
    assert site.call("POST", "team/b/blobs/uploads/", token).status_code == 202


def test_a_token_for_less_than_the_policy_allows(site):
    """It is good for the actions that it was issued for, and no others."""
    headers = site.login("alice")
    token = bearer(site.token(headers, "repository:team/a:pull").json["token"])
    assert site.call("GET", f"team/a/{TAGS}", token).status_code == 404
    told = challenge(site.call("POST", "team/a/blobs/uploads/", token))
    assert told["error"] == "insufficient_scope"


def test_who_lacks_a_right(site):
    """By a token the answer is a challenge, by a password it is a denial."""
    headers = site.login("alice")
    token = bearer(site.token(headers, "repository:team/a:delete").json["token"])
    path = "team/a/manifests/latest"
    told = challenge(site.call("DELETE", path, token))
    assert told["scope"] == "repository:team/a:delete"
    assert told["error"] == "insufficient_scope"
    assert site.call("DELETE", path, headers).status_code == 403


def test_the_token_endpoint_refuses(site):
    """Wrong credentials are no anonymous ones, so that a log-in fails."""
    assert site.token(basic("alice", "wrong")).status_code == 401
    assert site.token(basic("", "")).status_code in (200, 401)
    assert site.token(site.login("alice")).status_code == 200


def test_a_password_form(site):
    """docker asks by POST as well."""
    password = site.key("alice")
    form = {
        "grant_type": "password",
        "service": "flaskreg",
        "client_id": "docker",
        "username": "alice",
        "password": password,
        "scope": "repository:team/a:pull,push",
    }
    answer = site.client.post("/auth/token", data=form)
    token = bearer(answer.json["access_token"])
    assert site.call("POST", "team/a/blobs/uploads/", token).status_code == 202
    form["password"] += "x"
    assert site.client.post("/auth/token", data=form).status_code == 401


def test_a_token_is_no_more_than_the_policy(make_site, tmp_path):
    """What changes of groups, rules and users applies to tokens that are out."""
    path = tmp_path / "policy.yml"
    rules = "rules: [{repositories: team/*, subjects: 'group:dev', allow: '*'}]\n"
    path.write_text(f"{rules}groups: {{dev: [alice]}}")
    site = make_site(path=str(path))
    token = bearer(
        site.token(site.login("alice"), "repository:team/a:pull").json["token"]
    )
    asked = f"team/a/{TAGS}"
    assert site.call("GET", asked, token).status_code == 404
    path.write_text(f"{rules}groups: {{dev: [bob]}}")
    assert challenge(site.call("GET", asked, token))["error"] == "insufficient_scope"
    path.write_text(f"{rules}groups: {{dev: [alice]}}")
    assert site.call("GET", asked, token).status_code == 404
    path.write_text(
        f"{rules}groups: {{dev: [alice]}}\nusers: {{alice: {{disabled: true}}}}"
    )
    assert challenge(site.call("GET", asked, token))["error"] == "invalid_token"
    assert site.call("GET", asked, site.login("alice")).status_code == 401
    assert site.token(site.login("alice")).status_code == 401


def test_the_key_can_be_configured(make_site, tmp_path):
    """A PEM file of one's own, which is the one of the JWKS."""
    path = tmp_path / "own.pem"
    path.write_bytes(generate_pem())
    site = make_site(rules=RULES, groups=GROUPS, keys=str(path))
    token = site.token(site.login("alice"), "repository:team/a:pull").json["token"]
    assert site.call("GET", f"team/a/{TAGS}", bearer(token)).status_code == 404
    (key,) = site.client.get("/auth/jwks").json["keys"]
    assert (key["kty"], key["use"], "d" in key) == ("EC", "sig", False)
    assert not (tmp_path / "keys").exists()


def test_a_key_that_is_rotated(site):
    """The new one signs, the old one verifies, and both are in the JWKS."""
    headers, scope = site.login("alice"), "repository:team/a:pull"
    old = bearer(site.token(headers, scope).json["token"])
    KeyRing(site.parameters["keys"]).rotate()
    new = bearer(site.token(headers, scope).json["token"])
    kids = [key["kid"] for key in site.client.get("/auth/jwks").json["keys"]]
    signed = [peek(each["Authorization"][7:]).kid for each in (old, new)]
    assert signed == kids
    for each in (old, new):
        assert site.call("GET", f"team/a/{TAGS}", each).status_code == 404


def test_a_user_who_is_deleted(make_site, tmp_path):
    """The tokens that are out are good no more, nor those that renew them."""
    users = tmp_path / "htpasswd"
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    users.write_text(f"alice:{hashed}\n")
    site = make_site(rules=RULES, groups=GROUPS, htpasswd=str(users))
    form = {
        "grant_type": "password",
        "service": "flaskreg",
        "client_id": "test",
        "username": "alice",
        "password": "secret",
        "access_type": "offline",
        "scope": "repository:team/a:pull",
    }
    got = site.client.post("/auth/token", data=form).json
    renew = {
        "grant_type": "refresh_token",
        "service": "flaskreg",
        "client_id": "test",
        "refresh_token": got["refresh_token"],
        "scope": form["scope"],
    }
    asked, token = f"team/a/{TAGS}", bearer(got["access_token"])
    renewed = site.client.post("/auth/token", data=renew).json
    for each in (token, bearer(renewed["access_token"])):
        assert site.call("GET", asked, each).status_code == 404
    users.write_text(f"bob:{hashed}\n")
    for each in (token, bearer(renewed["access_token"])):
        told = challenge(site.call("GET", asked, each))
        assert told["error"] == "invalid_token"
    assert site.client.post("/auth/token", data=form).status_code == 401
    answer = site.client.post("/auth/token", data=renew)
    assert (answer.status_code, answer.json.get("access_token")) == (401, None)


def test_groups_of_a_provider_are_in_the_token(site):
    """Those that the policy cannot know."""
    far = Identity("oidc:1", frozenset({"dev"}), "oidc")
    token = site.issue(far, ("team/a", "pull"))
    assert site.call("GET", f"team/a/{TAGS}", token).status_code == 404
    token = site.issue(Identity("oidc:1", via="oidc"), ("team/a", "pull"))
    assert site.call("GET", f"team/a/{TAGS}", token).status_code == 401


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("registry.example.com:5000", "http://registry.example.com:5000/auth/token"),
        ("[::1]:5000", "http://[::1]:5000/auth/token"),
        ('a"b', "http://localhost/auth/token"),
        ("a b", "http://localhost/auth/token"),
        ("a/b", "http://localhost/auth/token"),
        ("user@a", "http://localhost/auth/token"),
    ],
)
def test_the_realm_is_of_the_host(site, host, realm):
    """That of the request, unless it is none; what was forwarded is not believed."""
    forwarded = {"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https"}
    environ = {"HTTP_HOST": host}
    answer = site.call("GET", "", forwarded, environ_overrides=environ)
    assert challenge(answer)["realm"] == realm


def test_the_realm_can_be_configured(make_site):
    """For whoever is behind a proxy that nobody may know of."""
    site = make_site(realm="https://r.example.com/auth/token", service="r.example.com")
    told = challenge(site.call("GET", ""))
    assert told["realm"] == "https://r.example.com/auth/token"
    assert told["service"] == "r.example.com"


def test_reasons_are_logged(site, caplog):
    """With the rule and the user, or with the token's kid, iss, aud and exp."""
    headers = site.login("alice")
    token = site.token(headers, "repository:team/a:pull").json["token"]
    with caplog.at_level(logging.INFO, "flaskreg.policy"):
        site.call("DELETE", "team/a/manifests/latest", headers)
        site.call("GET", f"team/b/{TAGS}", bearer(token))
        site.call("GET", f"team/b/{TAGS}", bearer(token[:-8] + "AAAAAAAA"))
        site.call("GET", "", basic("alice", "wrong"))
    denied, narrow, forged, wrong = (record.message for record in caplog.records)
    assert "user='alice' via=apikey delete repository:team/a: no rule" in denied
    assert "the token is not for it" in narrow
    for name in ("kid=", "iss='flaskreg'", "aud=", "exp=", "sub="):
        assert name in narrow
        assert name in forged
    assert "the user name or the password is wrong" in wrong
    assert token not in caplog.text


def test_a_denial_names_its_rule(make_site, caplog):
    """By its number and its name."""
    rule = deny("team/*", "alice", "pull") | {"name": "no more"}
    site = make_site(rules=[allow("team/*", "alice"), rule])
    with caplog.at_level(logging.INFO, "flaskreg.policy"):
        site.call("GET", f"team/a/{TAGS}", site.login("alice"))
    assert "rule 2 (no more) denies it by 'team/*'" in caplog.text


def test_a_wrapped_controller_has_its_endpoint(tmp_path):
    """The tokens of the endpoint are good for the controller inside."""
    site = Site(tmp_path, rules=RULES, groups=GROUPS)

    class Wrapper:
        def __init__(self, inner):
            self.authorize = inner.authorize

    class Plugin:
        @hookimpl(wrapper=True)
        def flaskreg_make_access_controller(self):
            return Wrapper((yield))

    auth = {"controller": "policy", "parameters": site.parameters}
    settings = Settings.model_validate(
        {"storage": {"driver": "inmemory"}, "auth": auth}
    )
    site.client = Client(create_app(settings, [Plugin()]))
    token = site.token(site.login("alice"), "repository:team/a:pull").json["token"]
    assert site.call("GET", f"team/a/{TAGS}", bearer(token)).status_code == 404
