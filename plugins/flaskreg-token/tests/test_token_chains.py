"""Keys that a chain of certificates vouches for."""

from __future__ import annotations

from joserfc.jwk import ECKey
from token_forge import certificate
from token_forge import chain_of
from token_forge import claims
from token_forge import encode


def test_chains_that_lead_to_a_root(verifier, authority, forge):
    """Also over others, and also the root itself; the key is that of the first."""
    root, key = authority
    middle, leaf = ECKey.generate_key("P-384"), forge.foreign["rsa"]
    between = certificate("middle", middle, "root", key, ca=True)
    far = certificate("leaf", leaf, "middle", middle)
    near = certificate("leaf", leaf, "root", key)
    for chain in ((near,), (near, root), (far, between), (far, between, root)):
        header = {"alg": "RS256", "x5c": chain_of(*chain)}
        assert verifier.verify(forge.sign(header, claims(), leaf))
        embedded = {**leaf.as_dict(private=False), "x5c": chain_of(*chain)}
        header = {"alg": "RS256", "jwk": embedded}
        assert verifier.verify(forge.sign(header, claims(), leaf))
    header = {"alg": "ES256", "x5c": chain_of(root)}
    assert verifier.verify(forge.sign(header, claims(), key))
    header = {"alg": "ES256", "kid": key.thumbprint()}
    assert verifier.verify(forge.sign(header, claims(), key))


def test_chains_that_do_not(refused, authority, forge):
    """Each breaks one rule; a good ``kid`` beside it does not help."""
    root, key = authority
    leaf, other = forge.foreign["p256"], forge.foreign["p384"]
    good = certificate("leaf", leaf, "root", key)
    plain = certificate("middle", other, "root", key)
    short = certificate("middle", other, "root", key, ca=True, depth=0)
    chains = {
        "self-signed": chain_of(certificate("leaf", leaf)),
        "foreign root": chain_of(certificate("leaf", leaf, "root", other)),
        "same name": chain_of(certificate("root", leaf, ca=True)),
        "brought root": chain_of(
            certificate("leaf", leaf, "evil", other),
            certificate("evil", other, ca=True),
        ),
        "not an authority": chain_of(certificate("leaf", leaf, "middle", other), plain),
        "too deep": chain_of(
            certificate("leaf", leaf, "last", leaf),
            certificate("last", leaf, "middle", other, ca=True),
            short,
        ),
        "over": chain_of(certificate("leaf", leaf, "root", key, days=-1)),
        "of another key": chain_of(certificate("leaf", other, "root", key)),
        "root, but another key": chain_of(root),
        "no base64": ["!"],
        "no certificate": [encode(b"x" * 100)],
        "no texts": [1],
        "text": chain_of(good)[0],
        "object": {"0": chain_of(good)[0]},
        "too long": chain_of(good) * 20,
    }
    for name, chain in chains.items():
        for extra in ({}, {"kid": "p256"}, {"kid": key.thumbprint()}):
            header = {"alg": "ES256", "x5c": chain, **extra}
            assert refused(forge.sign(header, claims(), leaf)), name
            header = {"alg": "ES256", "jwk": {"x5c": chain, "kid": "p256"}, **extra}
            assert refused(forge.sign(header, claims(), leaf)), name


def test_a_short_key_of_a_good_chain(refused, authority, forge):
    """Nobody believes 1024 bits, whoever signed for them."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    class Short:
        private_key = rsa.generate_private_key(65537, 1024)
        public_key = private_key.public_key()

    chain = chain_of(certificate("leaf", Short, "root", authority[1]))
    header = {"alg": "RS256", "x5c": chain}
    assert "unknown kind" in refused(forge.sign(header, claims(), forge.keys["rsa"]))
