"""The keys that sign: made once, rotated, configured, shared."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from flaskreg_token import keys as keys_command
from flaskreg_token.issuer import TokenIssuer
from flaskreg_token.keyfolder import add_numbered
from flaskreg_token.keys import KeyRing
from flaskreg_token.keys import generate_pem
from flaskreg_token.sources import KeyFiles
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier
from joserfc.jwk import ECKey
from joserfc.jwk import OKPKey
from joserfc.jwk import RSAKey
from token_forge import ISSUER
from token_forge import PULL
from token_forge import SERVICE
from token_forge import parts

from flaskreg import filelook
from flaskreg.cli.main import group
from flaskreg.config import ConfigError
from flaskreg.errors import Unavailable
from flaskreg.testing.audit import watch


def test_nothing_is_made_before_it_is_needed(ring):
    """Not by making the ring, and not by verifying."""
    assert watch(lambda: KeyRing(ring._folder)) == []
    assert ring.trusted().keys == {}
    assert ring.all() == ()
    assert not os.path.exists(ring._folder)


def test_a_key_is_made_for_its_owner(ring):
    """In a folder of the owner; the public half is all that is told."""
    key = ring.signing_key()
    assert stat.S_IMODE(os.stat(ring._folder).st_mode) == 0o700
    assert os.listdir(ring._folder) == ["0001.pem"]
    assert stat.S_IMODE(os.stat(key.path).st_mode) == 0o600
    (public,) = ring.jwks()["keys"]
    assert set(public) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert public["kid"] == key.kid == key.key.thumbprint()
    assert "PRIVATE" not in repr(key)


def test_workers_that_make_a_key_at_once(tmp_path):
    """All of them sign by the same one."""
    rings = [KeyRing(str(tmp_path / "keys")) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = {key.kid for key in pool.map(KeyRing.signing_key, rings)}
    assert len(found) == 1
    assert os.listdir(tmp_path / "keys") == ["0001.pem"]


def test_rotation(ring, issuer, own_verifier):
    """The newest signs; what the older ones signed stays good while they are there."""
    other = KeyRing(ring._folder)
    old = issuer.issue("alice", [PULL]).token
    first = ring.signing_key()
    assert other.signing_key() == first
    second = ring.rotate()
    assert second.kid != first.kid
    assert [key["kid"] for key in ring.jwks()["keys"]] == [first.kid, second.kid]
    assert other.signing_key() == second
    new = issuer.issue("alice", [PULL]).token
    assert parts(new)[0]["kid"] == second.kid
    assert own_verifier.verify(old)
    assert TokenVerifier(other, ISSUER, SERVICE).verify(new)
    os.unlink(first.path)
    with pytest.raises(TokenRefused):
        own_verifier.verify(old)
    assert own_verifier.verify(new)


def test_rotations_at_once(ring):
    """Each makes a key of its own."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ring.rotate(), range(4)))
    assert sorted(os.listdir(ring._folder)) == [f"000{n}.pem" for n in range(1, 5)]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSAKey.generate_key(2048), "RS256"),
        (ECKey.generate_key("P-384"), "ES384"),
        (ECKey.generate_key("P-521"), "ES512"),
        (OKPKey.generate_key("Ed25519"), "EdDSA"),
    ],
)
def test_configured_keys(tmp_path, key, algorithm):
    """A PEM file, several in their order, or a folder of them; none is made."""
    older, newer = tmp_path / "older.pem", tmp_path / "newer.pem"
    older.write_bytes(generate_pem())
    newer.write_bytes(key.as_pem(private=True))
    for path in (str(newer), [str(older), str(newer)]):
        ring = KeyRing(path)
        assert ring.signing_key().algorithm == algorithm
        issuer = TokenIssuer(ring, ISSUER, SERVICE)
        verifier = TokenVerifier(ring, ISSUER, SERVICE)
        assert verifier.verify(issuer.issue("alice", [PULL]).token)
        with pytest.raises(Unavailable):
            ring.rotate()
    newer.rename(tmp_path / "p.pem")
    assert KeyRing(str(tmp_path)).signing_key().algorithm == algorithm
    KeyRing(str(tmp_path)).rotate()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key",
        ECKey.generate_key("P-256").as_pem(private=False),
        ECKey.generate_key("secp256k1").as_pem(private=True),
        ECKey.generate_key("P-256").as_pem(private=True, password="secret"),
    ],
)
def test_a_file_that_is_no_key(ring, caplog, content):
    """It is told once; the keys of before go on, and without any nothing is signed."""
    path = os.path.join(ring._folder, "9999.pem")
    key = ring.signing_key()
    with open(path, "wb") as stream:
        stream.write(content)
    for _ in range(3):
        assert ring.signing_key() == key
    errors = [it.getMessage() for it in caplog.records if it.levelname == "ERROR"]
    assert len(errors) == 1
    assert path in errors[0]
    with pytest.raises(Unavailable):
        KeyRing(path).signing_key()
    with pytest.raises(Unavailable):
        KeyRing(ring._folder).signing_key()


def test_a_folder_that_is_gone(ring, caplog):
    """Its keys go on, and no other one is made in its place."""
    key = ring.signing_key()
    os.rename(ring._folder, f"{ring._folder}.away")
    assert ring.signing_key() == key
    assert not os.path.exists(ring._folder)
    assert "still hold" in caplog.text


def test_a_folder_that_cannot_be_written(tmp_path):
    """It is the registry that cannot answer, for now."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        KeyRing(str(tmp_path / "file" / "keys")).signing_key()


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    """Not even half of one."""

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        add_numbered(str(tmp_path), b"key", first=True)
    assert os.listdir(tmp_path) == []


def test_our_jwks_is_one(ring, issuer, write_jwks):
    """The verifier of ``auth.token`` takes it."""
    source = KeyFiles("", write_jwks(*ring.jwks()["keys"]))
    assert TokenVerifier(source, ISSUER, SERVICE).verify(issuer.issue("a", []).token)


# The command


def test_the_command(ring):
    """It lists, rotates and publishes."""
    runner = CliRunner()
    assert runner.invoke(group, ["keys", "--help"]).exit_code == 0
    assert runner.invoke(keys_command, ["list", ring._folder]).output == ""
    for number in (1, 2):
        made = runner.invoke(keys_command, ["rotate", ring._folder]).output
        path, algorithm, kid = made.strip().split("\t")
        assert os.path.basename(path) == f"000{number}.pem"
        assert algorithm == "ES256"
    listed = runner.invoke(keys_command, ["list", ring._folder]).output
    assert listed.splitlines()[-1] == made.strip()
    published = json.loads(runner.invoke(keys_command, ["jwks", ring._folder]).output)
    assert published == ring.jwks()
    assert kid in str(published)


def test_the_command_fails_in_one_line(tmp_path):
    """With the folder in it."""
    folder = tmp_path / "file" / "keys"
    folder.parent.write_text("")
    for name in ("rotate", "jwks"):
        result = CliRunner().invoke(keys_command, [name, str(folder)])
        assert isinstance(result.exception, ConfigError)
        assert str(folder) in str(result.exception)


def test_a_key_that_is_made_here_is_seen_at_once(ring, monkeypatch):
    """However long others may take to look."""
    monkeypatch.setattr(filelook, "PAUSE", 3600.0)
    assert ring.all() == ()
    first = ring.signing_key()
    assert ring.rotate().kid != first.kid
    assert len(ring.all()) == 2
