"""The scopes that clients ask for."""

from __future__ import annotations

import pytest
from flaskreg_token.scopes import MOST
from flaskreg_token.scopes import ScopeInvalid
from flaskreg_token.scopes import parse_scopes
from hypothesis import given
from hypothesis import strategies as st
from token_forge import ACCESSES

from flaskreg.access import Access
from flaskreg.access import scope_of


@pytest.mark.parametrize(
    ("texts", "accesses"),
    [
        ([], []),
        ([""], []),
        (["repository:a/b:pull"], [("repository", "a/b", "pull")]),
        (
            ["repository:a:pull,push repository:b:*"],
            [("repository", "a", "pull"), ("repository", "a", "push")]
            + [("repository", "b", "*")],
        ),
        (["repository(plugin):a:pull"], [("repository", "a", "pull")]),
        (["registry:catalog:*"], [("registry", "catalog", "*")]),
        (
            ["repository:host.example.com:5000/a/b:pull"],
            [("repository", "host.example.com:5000/a/b", "pull")],
        ),
        (["repository:a:"], []),
        (["repository:a:,pull,"], [("repository", "a", "pull")]),
        (["repository:a:pull", "repository:a:pull"], [("repository", "a", "pull")]),
    ],
)  # fmt: skip
def test_scopes(texts, accesses):
    """By the grammar: classes, ports, several actions and several scopes."""
    assert parse_scopes(texts) == [Access(*each) for each in accesses]


@pytest.mark.parametrize(
    "scope",
    [
        "repository",
        "repository:a",
        ":a:pull",
        "repository::pull",
        "repository:a:PULL",
        "repository:a:pull:push",
        "repository:a:b:pull",
        "repository:a%20b:pull",
        "repository(:a:pull",
        "Repository:a:pull",
        "repository:\u00fc:pull",
        "repository:" + "a" * 600 + ":pull",
        "repository:a:" + ",".join(["pull"] * 3) + ".",
        " ".join(f"repository:a{number}:pull" for number in range(MOST + 1)),
    ],
)
def test_what_is_no_scope(scope):
    """It is an error of the client."""
    with pytest.raises(ScopeInvalid):
        parse_scopes([scope])


@given(accesses=st.lists(ACCESSES, unique=True))
def test_a_scope_of_a_challenge_comes_back(accesses):
    """What a challenge tells a client to ask for is what it gets asked for."""
    assert set(parse_scopes([scope_of(accesses)])) == set(accesses)
