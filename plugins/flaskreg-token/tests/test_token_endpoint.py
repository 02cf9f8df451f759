"""The token endpoint, in both of its forms."""

from __future__ import annotations

import base64
import logging

import pytest
from flaskreg_token.asked import LARGEST
from flaskreg_token.endpoint import make_token_blueprint
from flaskreg_token.verifier import TokenVerifier
from token_forge import ISSUER
from token_forge import SERVICE
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.access import Access
from flaskreg.access import peer_of
from flaskreg.config import Settings


FORM = {
    "grant_type": "password",
    "service": SERVICE,
    "client_id": "docker",
    "username": "alice",
    "password": "canary-secret",
    "scope": "repository:team/app:pull,push repository:other:pull",
}
PULL = Access("repository", "team/app", "pull")
PUSH = Access("repository", "team/app", "push")
CATALOG = Access("registry", "catalog", "*")
PUBLIC = Access("repository", "public", "pull")


class Plugin:
    """Offers the endpoint, and decides who may what."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.asked = []

    def authenticate(self, headers, user, password):
        """One user, and nobody in particular."""
        self.asked.append((user, password, peer_of(headers).address))
        if user is None and password is None:
            return ""
        return "alice" if (user, password) == ("alice", "canary-secret") else None

    def allowed(self, subject, access):
        """The team's for the user, and the public for all."""
        own = access.name == "team/app" and access.action in ("pull", "push")
        return access == PUBLIC or (subject == "alice" and (own or access == CATALOG))

    @hookimpl
    def flaskreg_register_blueprints(self):
        """Offer the endpoint."""
        blueprint = make_token_blueprint(
            self.issuer, self.authenticate, self.allowed, SERVICE
        )
        return {"/auth": blueprint}


@pytest.fixture
def plugin(issuer):
    """Return the plugin."""
    return Plugin(issuer)


@pytest.fixture
def client(plugin):
    """Return a client of a registry with it."""
    settings = Settings.model_validate({"storage": {"driver": "inmemory"}})
    return Client(create_app(settings, [plugin]))


@pytest.fixture
def granted(ring):
    """Return a callable that gives what a token grants."""
    verifier = TokenVerifier(ring, ISSUER, SERVICE)

    def call(token):
        claims = verifier.verify(token)
        return claims.subject, set(claims.accesses)

    return call


def basic(user, password):
    """Return the header of a user and a password."""
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


GOOD = basic("alice", "canary-secret")


def test_a_user_by_get(client, granted):
    """The answer is docker's, and nobody keeps it."""
    query = {
        "service": SERVICE,
        "scope": ["repository:team/app:pull,push,delete", "repository:other:pull"],
        "account": "alice",
    }
    answer = client.get("/auth/token", query_string=query, headers=GOOD)
    assert answer.status_code == 200
    assert set(answer.json) == {"token", "access_token", "expires_in", "issued_at"}
    assert answer.json["token"] == answer.json["access_token"]
    assert answer.json["expires_in"] == 3600
    assert granted(answer.json["token"]) == ("alice", {PULL, PUSH})
    assert answer.headers["Cache-Control"] == "no-store"


def test_every_action(client, granted):
    """Is what one may do of them; that of the catalog is its own."""
    scope = "repository:team/app:* registry:catalog:*"
    answer = client.get("/auth/token", query_string={"scope": scope}, headers=GOOD)
    assert granted(answer.json["token"]) == ("alice", {PULL, PUSH, CATALOG})


def test_nobody_in_particular(client, granted):
    """Gets what everybody may, and no refresh token."""
    query = {
        "service": SERVICE,
        "scope": "repository:public:pull,push repository:team/app:pull",
        "offline_token": "true",
    }
    answer = client.get("/auth/token", query_string=query)
    assert granted(answer.json["token"]) == ("", {PUBLIC})
    assert "refresh_token" not in answer.json
    answer = client.get("/auth/token", query_string={"service": SERVICE})
    assert granted(answer.json["token"]) == ("", set())


@pytest.mark.parametrize(
    "headers",
    [
        basic("alice", "wrong"),
        basic("", ""),
        basic("bob", "canary-secret"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !"},
        {"Authorization": "Basic YQ=="},
        {"Authorization": "Basic /zph"},
        {"Authorization": "Bearer x"},
        {"Authorization": ""},
    ],
)
def test_wrong_credentials_are_not_those_of_nobody(client, headers):
    """Else a log-in with a wrong password would go well."""
    answer = client.get("/auth/token", query_string={}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Basic realm="{SERVICE}"'
    assert answer.json["errors"][0]["code"] == "UNAUTHORIZED"


def test_a_user_by_post(client, granted):
    """The answer is that of OAuth2."""
    answer = client.post("/auth/token", data=FORM)
    assert answer.status_code == 200
    assert set(answer.json) == {"access_token", "expires_in", "issued_at", "scope"}
    assert answer.json["scope"] == "repository:team/app:pull,push"
    assert granted(answer.json["access_token"]) == ("alice", {PULL, PUSH})
    answer = client.post("/auth/token", data={**FORM, "password": "wrong"})
    assert answer.status_code == 401


def test_a_refresh_token(client, granted):
    """Is got by either form, is good for tokens, and for nothing else."""
    query = {"service": SERVICE, "offline_token": "true", "client_id": "docker"}
    answer = client.get("/auth/token", query_string=query, headers=GOOD)
    for refresh in (
        answer.json["refresh_token"],
        client.post("/auth/token", data={**FORM, "access_type": "offline"}).json[
            "refresh_token"
        ],
    ):
        form = {
            "grant_type": "refresh_token",
            "service": SERVICE,
            "refresh_token": refresh,
            "scope": FORM["scope"],
        }
        answer = client.post("/auth/token", data=form)
        assert granted(answer.json["access_token"]) == ("alice", {PULL, PUSH})
        assert "refresh_token" not in answer.json
        form["access_type"] = "offline"
        answer = client.post("/auth/token", data=form)
        assert answer.json["refresh_token"] == refresh
        form["refresh_token"] = answer.json["access_token"]
        assert client.post("/auth/token", data=form).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"service": "other"},
        {"grant_type": ""},
        {"grant_type": "client_credentials"},
        {"grant_type": ["password", "password"]},
        {"username": ""},
        {"password": ""},
        {"scope": "repository"},
        {"grant_type": "refresh_token"},
        {"username": "%ff"},
    ],
)
def test_forms_that_are_wrong(client, plugin, changes):
    """They are told in the registry's own form, and nobody's password is checked."""
    answer = client.post("/auth/token", data={**FORM, **changes})
    if changes == {"username": "%ff"}:
        # Encoded once more, it is a name like any other.
        assert answer.status_code == 401
        return
    assert answer.status_code == 400
    assert answer.json["errors"][0]["code"] == "UNSUPPORTED"
    assert plugin.asked == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"grant_type=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"a=1"] * 1000), "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 400),
        (b"", "multipart/form-data; boundary=x", 400),
        (b"", None, 400),
        (b"a" * (LARGEST + 1), "application/x-www-form-urlencoded", 413),
    ],
)
def test_bodies_that_are_wrong(client, body, kind, status):
    """They are bounded, and break nothing."""
    answer = client.post("/auth/token", data=body, content_type=kind)
    assert answer.status_code == status
    assert answer.json["errors"]


def test_queries_that_are_wrong(client):
    """Another service, a scope that is none, and what is no text."""
    for query in ("service=other", "scope=x", "service=a&service=b", "scope=%ff"):
        answer = client.get("/auth/token", query_string=query)
        assert answer.status_code == 400, query
        assert answer.json["errors"]


def test_other_methods(client):
    """They are refused in the registry's own form."""
    for method in ("PUT", "DELETE", "PATCH"):
        answer = client.open("/auth/token", method=method)
        assert answer.status_code == 405
        assert answer.json["errors"][0]["code"] == "UNSUPPORTED"


def test_the_peer_is_known(client, plugin):
    """Whoever checks passwords sees the address."""
    client.get("/auth/token", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert plugin.asked == [(None, None, "192.0.2.7")]


def test_the_keys_are_published(client, ring):
    """As a JWKS without anything private."""
    answer = client.get("/auth/jwks")
    assert answer.status_code == 200
    assert answer.mimetype == "application/jwk-set+json"
    assert answer.json == ring.jwks()
    assert "d" not in answer.json["keys"][0]


def test_without_keys_the_registry_is_unavailable(client, ring):
    """It is not the client's fault."""
    with open(ring._folder, "w"):
        pass
    for path in ("/auth/token", "/auth/jwks"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json["errors"][0]["code"] == "UNAVAILABLE"


def test_nothing_secret_is_logged(client, caplog):
    """No password, no token, good or wrong."""
    with caplog.at_level(logging.DEBUG):
        good = client.post("/auth/token", data={**FORM, "access_type": "offline"}).json
        client.post("/auth/token", data={**FORM, "password": "canary-wrong"})
        client.get("/auth/token", headers=basic("alice", "canary-wrong"))
        form = {"grant_type": "refresh_token", "refresh_token": good["access_token"]}
        client.post("/auth/token", data=form)
    assert "canary" not in caplog.text
    for name in ("access_token", "refresh_token"):
        assert good[name].rpartition(".")[2] not in caplog.text
    assert "wrong credentials: user='alice'" in caplog.text
    assert "it is of another type" in caplog.text
