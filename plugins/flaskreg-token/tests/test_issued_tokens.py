"""Tokens that grant exactly what they say, and those that renew them."""

from __future__ import annotations

import pytest
from flaskreg_token.claims import Claims
from flaskreg_token.issuer import TokenIssuer
from flaskreg_token.keys import KeyRing
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from token_forge import ACCESSES
from token_forge import ISSUER
from token_forge import PULL
from token_forge import SERVICE
from token_forge import parts

from flaskreg.access import Access


examples = settings(
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_what_a_token_says(issuer, ring):
    """In docker's words."""
    issued = issuer.issue("alice", [PULL, Access("repository", "team/app", "push")])
    header, claims = parts(issued.token)
    assert header == {"typ": "JWT", "alg": "ES256", "kid": ring.signing_key().kid}
    assert claims["iss"] == ISSUER
    assert claims["aud"] == SERVICE
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == issued.expires_in == 3600
    assert claims["access"] == [
        {"type": "repository", "name": "team/app", "actions": ["pull", "push"]}
    ]
    assert issued.issued_at.endswith("Z")
    assert str(issued) == issued.token
    assert issued.token not in repr(issued)


def test_no_two_tokens_are_the_same(issuer):
    """Each has an id."""
    tokens = {issuer.issue("alice", [PULL]).token for _ in range(10)}
    assert len({parts(token)[1]["jti"] for token in tokens}) == 10


@given(subject=st.text(st.characters(codec="utf-8")), asked=st.lists(ACCESSES))
@examples
def test_a_token_grants_exactly_what_it_says(issuer, own_verifier, subject, asked):
    """Nothing is lost, and nothing is added."""
    claims = own_verifier.verify(issuer.issue(subject, asked).token)
    assert claims.subject == subject
    assert set(claims.accesses) == set(asked)
    assert len(claims.accesses) == len(set(asked))


@given(held=st.lists(ACCESSES), access=ACCESSES)
@examples
def test_an_access_is_allowed_by_its_very_name(held, access):
    """Or by ``*`` of the same type and name."""
    wanted = {(each.type, each.name, each.action) for each in held}
    expected = bool(
        {(access.type, access.name, action) for action in (access.action, "*")} & wanted
    )
    assert Claims("", tuple(held), 0).allow(access) is expected


def test_a_token_is_for_one_service(issuer, ring):
    """And from one issuer."""
    token = issuer.issue("alice", [PULL]).token
    for changes in ((ISSUER, "other"), ("other", SERVICE)):
        with pytest.raises(TokenRefused):
            TokenVerifier(ring, *changes).verify(token)


def test_a_token_lives_as_long_as_it_says(ring):
    """Clients take none that lives for less than a minute."""
    now = [1_800_000_000.0]
    issuer = TokenIssuer(ring, ISSUER, SERVICE, 600, clock=lambda: now[0])
    own_verifier = TokenVerifier(ring, ISSUER, SERVICE, clock=lambda: now[0])
    issued = issuer.issue("alice", [PULL])
    assert issued.expires_in == 600
    assert issued.issued_at == "2027-01-15T08:00:00Z"
    now[0] += 660
    assert own_verifier.verify(issued.token).expires == 1_800_000_600
    now[0] += 1
    with pytest.raises(TokenRefused):
        own_verifier.verify(issued.token)
    with pytest.raises(ValueError, match="60 seconds"):
        TokenIssuer(ring, ISSUER, SERVICE, 59)


# Refresh tokens


def test_a_refresh_token(issuer):
    """It gives its subject back."""
    assert issuer.read_refresh(issuer.issue_refresh("b\u00f6b")) == "b\u00f6b"


def test_a_refresh_token_grants_nothing(issuer, ring, own_verifier, tmp_path):
    """Neither here nor where nobody looks at types: it is for another audience."""
    token = issuer.issue_refresh("alice")
    with pytest.raises(TokenRefused, match="type"):
        own_verifier.verify(token)
    assert parts(token)[1]["aud"] != SERVICE
    assert "access" not in parts(token)[1]
    other = TokenIssuer(ring, ISSUER, f"refresh:{SERVICE}")
    with pytest.raises(TokenRefused):
        TokenVerifier(ring, ISSUER, f"refresh:{SERVICE}").verify(token)
    for wrong in (
        issuer.issue("alice", []).token,
        other.issue("alice", []).token,
        other.issue_refresh("alice"),
        TokenIssuer(ring, "other", SERVICE).issue_refresh("alice"),
        TokenIssuer(KeyRing(str(tmp_path / "x")), ISSUER, SERVICE).issue_refresh("a"),
        token[:-4] + "AAAA",
        "",
        "a.b.c",
        "a" * 1_000_000,
    ):
        with pytest.raises(TokenRefused):
            issuer.read_refresh(wrong)


def test_a_refresh_token_expires(ring):
    """After thirty days."""
    now = [1_800_000_000.0]
    issuer = TokenIssuer(ring, ISSUER, SERVICE, clock=lambda: now[0])
    token = issuer.issue_refresh("alice")
    now[0] += 30 * 24 * 3600
    assert issuer.read_refresh(token) == "alice"
    now[0] += 61
    with pytest.raises(TokenRefused, match="expired"):
        issuer.read_refresh(token)
