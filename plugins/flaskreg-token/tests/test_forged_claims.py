"""Tokens whose headers, claims or form are no good, each for one reason."""

from __future__ import annotations

import json
import time

import pytest
from flaskreg_token.compact import LONGEST
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier
from hypothesis import given
from hypothesis import strategies as st
from token_forge import ISSUER
from token_forge import SERVICE
from token_forge import claims
from token_forge import encode


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": True},
        {"crit": ["unknown"], "unknown": 1},
        {"crit": []},
        {"crit": "exp"},
        {"b64": False},
        {"typ": "refresh+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": ""},
        {"typ": 1},
        {"x5t": 1},
    ],
)
def test_headers_that_nobody_understands(refused, forge, header):
    """They are refused and not ignored."""
    assert refused(forge.token(header=header))


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_types_of_tokens_that_grant_access(verifier, forge, typ):
    """It may be left out, as in distribution."""
    assert verifier.verify(forge.token(header={"typ": typ}))


NOW = int(time.time())


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example.com"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "other"},
        {"aud": []},
        {"aud": ["other"]},
        {"aud": {SERVICE: 1}},
        {"aud": None},
        {"aud": SERVICE.upper()},
        {"exp": None},
        {"exp": NOW - 120},
        {"exp": 0},
        {"exp": -1},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": [NOW + 300]},
        {"exp": 1 << 60},
        {"exp": 1e300},
        {"nbf": NOW + 300},
        {"nbf": str(NOW)},
        {"iat": NOW + 300},
        {"iat": {}},
        {"sub": 1},
        {"sub": ["alice"]},
        {"access": "pull"},
        {"access": {"type": "repository"}},
        {"access": [1]},
        {"access": [{"type": "repository", "name": "a"}, None]},
        {"access": [{"name": "a", "actions": ["pull"]}]},
        {"access": [{"type": "repository", "name": 1, "actions": ["pull"]}]},
        {"access": [{"type": "repository", "name": "a", "actions": "pull"}]},
        {"access": [{"type": "repository", "name": "a", "actions": [1]}]},
    ],
)
def test_claims_that_are_wrong(refused, forge, changes):
    """For somebody else, for another time, or of another form."""
    assert refused(forge.token(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [SERVICE]},
        {"aud": ["other", SERVICE]},
        {"exp": NOW - 30},
        {"exp": NOW + 300.5},
        {"nbf": NOW + 50, "iat": NOW + 50},
        {"nbf": None, "iat": None, "sub": None, "access": None},
        {"access": []},
        {"access": [{"type": "repository", "name": "a", "actions": None}]},
        {"jti": "x", "unknown": {"a": 1}},
    ],
)
def test_claims_that_are_right(verifier, forge, changes):
    """A minute is what two clocks may be apart."""
    assert verifier.verify(forge.token(**changes))


def test_members_that_come_twice(refused, forge):
    """In the header, among the claims, and further inside."""
    header = '{"alg":"ES256","kid":"p256"%s}'
    whole = json.dumps(claims())
    twice = [
        (header % ',"kid":"p256"', whole),
        (header % ',"alg":"none"', whole),
        (header % "", whole[:-1] + f', "aud": "{SERVICE}"}}'),
        (header % "", whole.replace('"actions"', '"actions": [], "actions"')),
    ]
    for head, body in twice:
        data = f"{encode(head.encode())}.{encode(body.encode())}"
        good = forge.sign(json.loads(header % ""), claims(), forge.keys["p256"])
        assert "twice" in refused(f"{data}.{good.rpartition('.')[2]}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "e30.e30.e30",
        "e30.e30.e30.e30.e30",
        f"{encode(b'[]')}.{encode(b'{}')}.AAAA",
        f"{encode(b'[' * 9000)}.{encode(b'{}')}.AAAA",
        f"{encode(b'{' + b'%s' % (b'1' * 9000) + b'}')}.{encode(b'{}')}.AAAA",
        f"{encode(b'%s' % (b'1' * 9000))}.{encode(b'{}')}.AAAA",
        f"{encode(bytes([0xFF, 0xFE]))}.{encode(b'{}')}.AAAA",
        f'{encode(b"""{"alg":NaN}""")}.{encode(b"{}")}.AAAA',
        "\u00fc.\u00fc.\u00fc",
        "\ud800.a.b",
        "a" * LONGEST + ".b.c",
        "a" * 1_000_000,
    ],
)
def test_what_is_no_token(refused, token):
    """It is refused, and nothing breaks."""
    assert refused(token)


def test_other_forms_of_a_good_token(verifier, refused, forge):
    """Padding, spaces and other alphabets are no other ways to write it."""
    good = forge.token()
    assert verifier.verify(good)
    for form in (" {}", "{}\n", "{}=", "{}.", "{}!", ".{}", '"{}"'):
        assert refused(form.format(good))
    assert refused(forge.token() + "A" * LONGEST)


@given(data=st.data())
def test_no_bit_can_be_changed(forge, files, data):
    """Not in the header, the claims or the signature."""
    verifier = TokenVerifier(files, ISSUER, SERVICE)
    good = forge.token()
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("ABCDwxyz0189-_."))
    changed = good[:at] + other + good[at + 1 :]
    if changed != good:
        with pytest.raises(TokenRefused):
            verifier.verify(changed)
