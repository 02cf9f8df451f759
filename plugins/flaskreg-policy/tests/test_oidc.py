"""ID tokens of an OpenID Connect issuer: what is believed, and what is fetched."""

from __future__ import annotations

import base64
import json
import time

import pytest
from flaskreg_policy import jwks
from issuer_site import Issuer
from joserfc.jwk import ECKey
from joserfc.jwk import OctKey
from joserfc.jwk import RSAKey
from policy_site import allow
from policy_site import basic
from policy_site import bearer


TAGS = "team/a/tags/list"
RULES = [allow("team/*", ["oidc:1234", "group:oidc:builders"], "pull", "push")]
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def issuer():
    """Return an issuer."""
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture
def make(make_site, issuer):
    """Return a callable that makes a site which trusts the issuer."""

    def make(**changes):
        entry = {"issuer": issuer.url, "audience": "registry", **changes}
        return make_site(rules=RULES, oidc=[entry])

    return make


def status(site, token, user="oidc"):
    """Return the status of a request with a token as the password."""
    return site.call("GET", TAGS, basic(user, token)).status_code


def test_a_token_is_a_password_and_a_bearer(make, issuer):
    """Whatever the user name is; and it gets a token of ours."""
    site, token = make(), issuer.token()
    for headers in (basic("x", token), basic("", token), bearer(token)):
        assert site.call("GET", TAGS, headers).status_code == 404
    answer = site.token(basic("x", token), "repository:team/a:pull")
    assert site.call("GET", TAGS, bearer(answer.json["token"])).status_code == 404
    assert issuer.asked == {DISCOVERY: 1, "/jwks": 1}


def test_groups(make, issuer):
    """Those of the claim, with the prefix; also after an exchange of the token."""
    site = make(groups="roles")
    token = issuer.token(sub="9", roles=["builders", 7])
    assert status(site, token) == 404
    answer = site.token(basic("x", token), "repository:team/a:pull")
    assert site.call("GET", TAGS, bearer(answer.json["token"])).status_code == 404
    assert status(site, issuer.token(sub="9", roles=["others"])) == 403
    assert status(site, issuer.token(sub="9", roles="builders")) == 404


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example.com"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"exp": 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": float("inf")},
        {"exp": True},
        {"nbf": 9999999999},
        {"iat": 9999999999},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\nb"},
    ],
)
def test_claims_that_are_wrong(make, issuer, claims):
    """The issuer, the audience, the times, and the name."""
    site = make()
    assert status(site, issuer.token(**claims)) == 401
    assert status(site, issuer.token(aud=["other", "registry"])) == 404


def test_claims_that_are_required(make, issuer):
    """A CI makes tokens for everybody; only ours are good."""
    site = make(require={"owner": ["us", "them"], "protected": "true"})
    assert status(site, issuer.token(owner="us", protected=True)) == 404
    assert status(site, issuer.token(owner="us", protected=False)) == 401
    assert status(site, issuer.token(owner="evil", protected=True)) == 401
    assert status(site, issuer.token(protected=True)) == 401


def unsigned(token, **header):
    """Return a token with another header."""
    _, payload, signature = token.split(".")
    text = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{text}.{payload}.{signature}"


def test_signatures_that_are_wrong(make, issuer):
    """No algorithm, one that is not listed, the public key as a secret, another key."""
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "ec"}))
    site, token = make(algorithms="RS256"), issuer.token()
    public = issuer.keys[0].as_pem(private=False)
    confused = OctKey.import_key(public.replace(b"-----", b"_____"), {"kid": "one"})
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    for wrong in (
        unsigned(token, alg="none", kid="one"),
        unsigned(token, alg="HS256", kid="one"),
        unsigned(token, alg="RS256", kid="one", crit=["exp"], exp=1),
        unsigned(token, alg="RS512", kid="one"),
        unsigned(token, alg=["RS256"], kid="one"),
        unsigned(token, kid="one"),
        issuer.token(confused, "HS256"),
        issuer.token(stranger),
        issuer.token(issuer.keys[1], "ES256"),
        unsigned(issuer.token(issuer.keys[1], "ES256"), alg="RS256", kid="ec"),
        token[:-4],
        token + "=",
    ):
        assert status(site, wrong) == 401, wrong
    assert status(site, token) == 404


def test_random_kids_cause_no_storm(make, issuer):
    """They are fetched for once, and the keys that are known stay."""
    site = make()
    assert status(site, issuer.token()) == 404
    for number in range(30):
        other = RSAKey.import_key(issuer.keys[0].as_dict(private=True)
                                  | {"kid": f"random{number}"})  # fmt: skip
        assert status(site, issuer.token(other)) == 401
    assert issuer.asked["/jwks"] == 1
    assert status(site, issuer.token(sub="1234", jti="again")) == 404


def test_keys_are_rotated(make, issuer, monkeypatch):
    """A new key is found, though not sooner than after a pause."""
    site = make()
    assert status(site, issuer.token()) == 404
    issuer.keys = [RSAKey.generate_key(2048, {"kid": "two"})]
    assert status(site, issuer.token()) == 401
    monkeypatch.setattr(jwks, "PAUSE", 0.0)
    assert status(site, issuer.token()) == 404
    issuer.changed["/jwks"] = (500, b"", {})
    monkeypatch.setattr(jwks, "LIFETIME", 0.0)
    assert status(site, issuer.token(jti="still")) == 404


@pytest.mark.parametrize(
    "changed",
    [
        {DISCOVERY: (404, b"", {})},
        {DISCOVERY: (200, b"no JSON", {})},
        {DISCOVERY: (200, b"[]", {})},
        {DISCOVERY: (200, b"[" * 100_000, {})},
        {DISCOVERY: (200, b'{"issuer": "https://other.example.com"}', {})},
        {"/jwks": (302, b"", {"Location": "/elsewhere"})},
        {"/jwks": (200, b" " * jwks.MOST_BYTES + b"{}", {})},
        {"/jwks": (200, b'{"keys": 7}', {})},
        {"/jwks": (200, b'{"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}, 7]}', {})},
    ],
)
def test_documents_that_are_wrong(make, issuer, changed):
    """Nothing is believed, nothing is followed, and nothing breaks."""
    issuer.changed = changed
    site = make()
    assert status(site, issuer.token()) == 401
    assert issuer.asked["/elsewhere"] == 0


@pytest.mark.parametrize(
    "place",
    [
        "http://registry.example.com/jwks",
        "ftp://127.0.0.1/jwks",
        "https://user@registry.example.com/jwks",
        "file:///etc/passwd",
        7,
    ],
)
def test_keys_are_fetched_by_tls(make, issuer, place):
    """What the issuer says is no reason to go elsewhere in the clear."""
    issuer.discovery["jwks_uri"] = place
    assert status(make(), issuer.token()) == 401


def test_keys_are_not_fetched_with_a_name_and_a_password(make, issuer):
    """A URL that would work is not asked when it is none to trust."""
    issuer.discovery["jwks_uri"] = issuer.url.replace("//", "//user@") + "/jwks"
    assert status(make(), issuer.token()) == 401
    assert issuer.asked["/jwks"] == 0


def test_a_wrong_token_is_shown_to_nobody(make, issuer, monkeypatch):
    """A token as a password never reaches those who check passwords."""
    asked = []
    site = make()
    monkeypatch.setattr(
        site.service._authenticator, "_by_password", lambda *it: asked.append(it)
    )
    assert status(site, issuer.token(aud="another")) == 401
    assert status(site, issuer.token(iss="https://other.example.com")) == 401
    assert asked == []


def test_a_token_is_not_good_after_its_time(make, issuer, monkeypatch):
    """Also when it was remembered."""
    site, token = make(), issuer.token()
    assert status(site, token) == 404
    now = time.time()
    monkeypatch.setattr("flaskreg_policy.oidc.time.time", lambda: now + 361)
    assert status(site, token) == 401


def test_an_email_that_is_not_verified(make, issuer):
    """Anybody can claim one."""
    site = make(user="email")
    assert status(site, issuer.token(email="1234", email_verified=False)) == 401
    assert status(site, issuer.token(email="1234", email_verified=True)) == 404


def test_without_a_prefix(make_site, issuer):
    """Names are as the issuer has them, when that is wanted."""
    entry = {"issuer": issuer.url, "audience": "registry", "prefix": "-"}
    site = make_site(rules=[allow("team/*", "1234")], oidc=entry)
    assert status(site, issuer.token()) == 404
