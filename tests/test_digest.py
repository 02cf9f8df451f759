"""Digests: as hashlib has them, in any pieces, with states that Go can read."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg import digest as module
from flaskreg.digest import CANONICAL
from flaskreg.digest import ENCODED_LENGTHS
from flaskreg.digest import Digest
from flaskreg.digest import HashlibDigester
from flaskreg.digest import OpenSSLDigester
from flaskreg.digest import looks_like_digest
from flaskreg.digest import make_digester
from flaskreg.digest import parse_algorithm
from flaskreg.digest import parse_digest
from flaskreg.digest import restore_digester
from flaskreg.errors import DigestInvalid


ALGORITHMS = tuple(ENCODED_LENGTHS)

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)

_modest = settings(max_examples=50, deadline=None)

#: states that Go 1.26 wrote with ``MarshalBinary`` after so many bytes of
#: :func:`counted`: crypto/sha256, and crypto/sha512 with New384 and New.
GO_STATES = {
    ("sha256", 0): (
        "736861036a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"
    )
    + ("00" * 72),
    ("sha256", 3): (
        "736861036a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19000102"
    )
    + ("00" * 68)
    + ("03"),
    ("sha256", 64): (
        "73686103fc99a2df88f42a7a7bb9d18033cdc6a20256755f9d5b9a5044a9cc315abe84a7"
    )
    + ("00" * 71)
    + ("40"),
    ("sha256", 1000): (
        "73686103564d89b6ddf8329125e2817c294791dff133c8c58c9ef3a1b7fbf2a1a85cd251"
        "cfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2"
        "f3f4f5f6"
    )
    + ("00" * 30)
    + ("03e8"),
    ("sha384", 129): (
        "736861046f1664d213dd802f7c47bc50637cf93592570a2b8695839148bf38341c6eacd0"
        "5326452ef1cbe64d90f1ef73bb5ac7d2803565467d0ddb10c5ee3fc050f9f0c180"
    )
    + ("00" * 134)
    + ("81"),
    ("sha384", 1000): (
        "736861049ccfddc55d8fc502228d6ca09f2bfb661d00b44c87308b9a5a562c2ddb7def95"
        "c33bb44bca4d702902c32de688167731e202b083b0c0d7407ae2ace997e201918f909192"
        "939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6"
        "b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9da"
        "dbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6"
    )
    + ("00" * 30)
    + ("03e8"),
    ("sha512", 3): (
        "736861076a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1"
        "510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179000102"
    )
    + ("00" * 132)
    + ("03"),
    ("sha512", 129): (
        "736861078e03953cd57cd6879321270afa70c5827bb5b69be59a8f0130147e94f2aedf7b"
        "dc01c56c92343ca8bd837bb7f0208f5a23e155694516b6f147099d491a30b15180"
    )
    + ("00" * 134)
    + ("81"),
    ("sha512", 1000): (
        "73686107b93708b8318aa1a88431e69d1c4aff371652f5207e0ea43765f2c80203a245e4"
        "d503eb9139aaf4d6815c04972798d5c299bc1599af52e345be769761c5dfb4ed8f909192"
        "939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6"
        "b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9da"
        "dbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6"
    )
    + ("00" * 30)
    + ("03e8"),
}


def counted(size: int) -> bytes:
    """Return the bytes 0, 1 ... 250, 0, 1 ... that Go was given."""
    return bytes(at % 251 for at in range(size))


@pytest.fixture
def no_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this be a machine on which OpenSSL's library is not reached."""
    monkeypatch.setattr(module, "_libcrypto", lambda: None)


# The text


@every_algorithm
def test_a_digest_of_content_parses(algorithm: str) -> None:
    """What content is digested to is a digest of its parts."""
    digest = Digest.of(b"content", algorithm)
    assert parse_digest(digest) == digest
    assert isinstance(parse_digest(digest), Digest)
    assert digest.algorithm == algorithm
    assert digest.encoded == hashlib.new(algorithm, b"content").hexdigest()
    assert digest.canonical == (algorithm == CANONICAL)
    assert digest == f"{digest.algorithm}:{digest.encoded}"


HEX = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        HEX,
        f":{HEX}",
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha256:{HEX}\n",
        f"\nsha256:{HEX}",
        f" sha256:{HEX}",
        f"sha256:{HEX} ",
        f"sha256:sha256:{HEX}",
        f"sha256-{HEX}",
        f"sha384:{HEX}",
        f"sha512:{HEX}",
        f"sha512:{HEX}{HEX}0",
        f"md5:{HEX[:32]}",
        f"sha1:{HEX[:40]}",
        f"sha512-256:{HEX}",
        f"blake3:{HEX}",
        "sha256:" + "g" * 64,
        "sha256:" + "../" * 21 + "a",
        "sha256:" + "\u0661" * 64,
        "sha256:" + "a" * 10_000_000,
    ],
    ids=lambda text: repr(text[:40]),
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    """Nothing but the full lower-case form of a kept algorithm is a digest."""
    with pytest.raises(DigestInvalid) as caught:
        parse_digest(text)
    assert len(str(caught.value.entries())) < 500


@_modest
@given(st.text())
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    """Parsing raises nothing else and changes nothing."""
    with contextlib.suppress(DigestInvalid):
        assert parse_digest(text) == text


def test_a_tag_does_not_look_like_a_digest() -> None:
    """The colon alone tells them apart, so that a bad digest is never a tag."""
    assert looks_like_digest("sha256:abc")
    assert looks_like_digest(":")
    assert not looks_like_digest("latest")
    assert not looks_like_digest(HEX)


@every_algorithm
def test_algorithms(algorithm: str) -> None:
    """The kept ones parse, in lower case only."""
    assert parse_algorithm(algorithm) == algorithm
    for other in (algorithm.upper(), f"{algorithm} ", algorithm[:-1], ""):
        with pytest.raises(DigestInvalid):
            parse_algorithm(other)
        with pytest.raises(DigestInvalid):
            make_digester(other)


# The running digest


def test_this_machine_can_save_states() -> None:
    """The tests below are about OpenSSL's digests, not about the fallback."""
    assert isinstance(make_digester(), OpenSSLDigester)


@every_algorithm
@_modest
@given(chunks=st.lists(st.binary(max_size=300), max_size=12))
@example(chunks=[b"a" * 63, b"b", b"c" * 64, b"d" * 127, b"e" * 128, b""])
def test_any_pieces_give_the_digest_of_the_whole(
    algorithm: str, chunks: list[bytes]
) -> None:
    """At each point the digest is hashlib's, and looking at it changes nothing."""
    digester = make_digester(algorithm)
    fallback = HashlibDigester(algorithm)
    seen = b""
    for chunk in chunks:
        digester.update(chunk)
        fallback.update(chunk)
        seen += chunk
        assert digester.digest() == Digest.of(seen, algorithm)
        assert digester.digest() == digester.digest() == fallback.digest()
        assert digester.size == fallback.size == len(seen)
    assert digester.algorithm == algorithm


@every_algorithm
def test_a_state_goes_on_at_every_offset(algorithm: str) -> None:
    """Whatever the offset within a block, a restored digest ends as the other."""
    content = counted(300)
    for offset in range(len(content)):
        first = make_digester(algorithm)
        first.update(content[:offset])
        state = first.state()
        assert state is not None
        second = restore_digester(algorithm, state)
        assert second is not None
        assert second.size == offset
        assert second.state() == state
        assert second.digest() == Digest.of(content[:offset], algorithm)
        second.update(content[offset:])
        assert second.digest() == Digest.of(content, algorithm)
        # The first one is not touched by what the second one does.
        first.update(content[offset:])
        assert first.digest() == second.digest()


@every_algorithm
def test_a_state_counts_beyond_four_gibibytes(algorithm: str) -> None:
    """The length is carried over into the counter's upper half."""
    digester = make_digester(algorithm)
    assert isinstance(digester, OpenSSLDigester)
    state = digester.state()
    assert state is not None
    size = (1 << 32) + (1 << 29) + (1 << 10)
    forged = state[:-8] + size.to_bytes(8, "big")
    assert digester.restore(forged)
    digester.update(b"x" * 1000)
    again = digester.state()
    assert again is not None
    assert int.from_bytes(again[-8:], "big") == digester.size == size + 1000
    restored = restore_digester(algorithm, again)
    assert restored is not None
    assert restored.digest() == digester.digest()
    # OpenSSL's own counter of bits agrees with what is restored.
    context = digester._context
    width = 64 if algorithm != "sha256" else 32
    assert (context.high << width) + context.low == digester.size * 8


@pytest.mark.parametrize(("algorithm", "size"), GO_STATES)
def test_states_are_those_of_go(algorithm: str, size: int) -> None:
    """CNCF distribution reads what we write and we read what it writes."""
    recorded = bytes.fromhex(GO_STATES[algorithm, size])
    digester = make_digester(algorithm)
    digester.update(counted(size))
    assert digester.state() == recorded
    restored = restore_digester(algorithm, recorded)
    assert restored is not None
    restored.update(b"more")
    assert restored.digest() == Digest.of(counted(size) + b"more", algorithm)


@every_algorithm
def test_a_damaged_state_is_refused(algorithm: str) -> None:
    """Cut, grown, empty, or of another algorithm: content is digested anew."""
    digester = make_digester(algorithm)
    digester.update(counted(100))
    state = digester.state()
    assert state is not None
    for length in range(len(state)):
        assert restore_digester(algorithm, state[:length]) is None
    assert restore_digester(algorithm, state + b"\0") is None
    assert restore_digester(algorithm, b"SHA\3" + state[4:]) is None
    assert restore_digester(algorithm, bytes(len(state))) is None
    for other in set(ALGORITHMS) - {algorithm}:
        assert restore_digester(other, state) is None


@every_algorithm
@_modest
@given(junk=st.binary(min_size=0, max_size=230))
def test_junk_is_no_state(algorithm: str, junk: bytes) -> None:
    """No bytes make the interpreter crash or are taken without the magic."""
    magic = {"sha256": b"sha\3", "sha384": b"sha\4", "sha512": b"sha\7"}[algorithm]
    restored = restore_digester(algorithm, junk)
    assert restored is None or junk.startswith(magic)
    size = 108 if algorithm == "sha256" else 204
    forged = (magic + junk).ljust(size, b"\xff")[:size]
    restored = restore_digester(algorithm, forged)
    if restored is not None:
        restored.update(b"more than a block" * 20)
        parse_digest(restored.digest())


# Without OpenSSL


@pytest.mark.usefixtures("no_openssl")
@every_algorithm
def test_the_fallback_digests_without_states(algorithm: str) -> None:
    """It is hashlib's digest; there is nothing to save and nothing to restore."""
    digester = make_digester(algorithm)
    assert isinstance(digester, HashlibDigester)
    digester.update(b"some ")
    digester.update(b"content")
    assert digester.digest() == Digest.of(b"some content", algorithm)
    assert digester.size == 12
    assert digester.state() is None
    if (algorithm, 3) in GO_STATES:
        state = bytes.fromhex(GO_STATES[algorithm, 3])
        assert restore_digester(algorithm, state) is None


def test_a_library_without_the_functions_is_no_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An OpenSSL that lacks one of them leads to the fallback, not to an error."""

    def load(_name: str) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert module._libcrypto.__wrapped__() is None
