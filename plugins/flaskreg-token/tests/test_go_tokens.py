"""Tokens that a Go program issued, by golang-jwt and go-jose, as distribution's are.

The program is in ``gotokens``; distribution's own verifier has accepted each of them.
They are recorded with their keys: a JWKS and a bundle of certificates, all of them made
for this and of no other use. They expire in the year 2099.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from flaskreg_token.algorithms import ALGORITHMS
from flaskreg_token.sources import KeyFiles
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier

from flaskreg.access import Access


@pytest.fixture
def make_verifier(recorded, tmp_path):
    """Return a callable that makes a verifier of the recorded keys."""
    return verifiers(recorded, tmp_path)


def verifiers(recorded, tmp_path):
    """Return a callable that makes a verifier of keys as they are recorded."""
    bundle, jwks = tmp_path / "bundle.pem", tmp_path / "jwks.json"
    bundle.write_text(recorded["rootcertbundle"])
    jwks.write_text(json.dumps(recorded["jwks"]))
    source = KeyFiles(str(bundle), str(jwks))

    def make(**changes):
        known = {name: recorded[name] for name in ("issuer", "service")}
        return TokenVerifier(source, **{**known, **changes})

    return make


def test_every_algorithm_is_recorded(recorded):
    """By both libraries."""
    made = {(it["library"], it["alg"]) for it in recorded["tokens"]}
    libraries = ("go-jose", "golang-jwt")
    assert made == {(name, alg) for name in libraries for alg in ALGORITHMS}


def test_all_are_accepted(recorded, make_verifier):
    """With the subject and the accesses that they were issued for."""
    verifier = make_verifier()
    for record in recorded["tokens"]:
        claims = verifier.verify(record["token"])
        assert claims.subject == recorded["subject"], record["name"]
        assert set(claims.accesses) == {
            Access(each["type"], each["name"], action)
            for each in recorded["access"]
            for action in each["actions"]
        }
        assert claims.allow(Access("repository", "library/alpine", "delete"))
        assert not claims.allow(Access("repository", "team/app", "delete"))


def test_none_is_accepted_elsewhere(recorded, make_verifier):
    """By another service, or from another issuer, or when it was changed."""
    for changes in ({"service": "other"}, {"issuer": "other"}, {"algorithms": []}):
        verifier = make_verifier(**changes)
        for record in recorded["tokens"]:
            with pytest.raises(TokenRefused):
                verifier.verify(record["token"])
    verifier = make_verifier()
    for record in recorded["tokens"]:
        head, body, signature = record["token"].split(".")
        flipped = ("A" if signature[8] != "A" else "B").join(
            (signature[:8], signature[9:])
        )
        with pytest.raises(TokenRefused):
            verifier.verify(f"{head}.{body}.{flipped}")


@pytest.mark.live
def test_what_go_issues_now_is_accepted(tmp_path):
    """The program runs, and there is nothing about the recorded keys."""
    go = shutil.which("go")
    assert go, "go is not installed: apt-get install golang-go (1.25 or later)"
    done = subprocess.run(
        [go, "run", "."],
        cwd=Path(__file__).parent / "gotokens",
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    issued = json.loads(done.stdout)
    verifier = verifiers(issued, tmp_path)()
    assert len(issued["tokens"]) == 34
    for record in issued["tokens"]:
        claims = verifier.verify(record["token"])
        assert claims.subject == issued["subject"], record["name"]
