"""The signatures that are understood, and which key makes which.

An algorithm is never taken from a token alone: a key is good for those of its own type
and curve, so that a public key is no secret of an HMAC.

Source: RFC 7518, RFC 8037; CNCF distribution's ``signingalgorithms``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import ECKey
from joserfc.jwk import Key
from joserfc.jwk import OKPKey
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry


#: those of distribution, in its order.
ALGORITHMS = (
    "EdDSA",
    *("HS256", "HS384", "HS512"),
    *("RS256", "RS384", "RS512"),
    *("ES256", "ES384", "ES512"),
    *("PS256", "PS384", "PS512"),
)

_CURVES: Mapping[str, frozenset[str]] = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA"}),
}
_NAMES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_RSA = frozenset(each for each in ALGORITHMS if each[:2] in ("RS", "PS"))

#: the shortest modulus of RSA, in bits (RFC 7518, 3.3).
_MODULUS = 2048

#: the shortest secret of each HMAC, in bytes (RFC 7518, 3.2).
_SECRETS = {"HS256": 32, "HS384": 48, "HS512": 64}


class Registry(JWSRegistry):
    """The algorithm that is allowed for one key, and sizes that hold a chain.

    :param algorithm: by name.
    """

    max_header_length = 64 << 10
    max_payload_length = 64 << 10
    max_signature_length = 4 << 10

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return the algorithm; that the key fits to it was looked at before."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


def algorithms_of(key: Key) -> frozenset[str]:
    """Return what a key is good for, by its type, its curve and its size."""
    if isinstance(key, RSAKey):
        return _RSA if key.raw_value.key_size >= _MODULUS else frozenset()
    if isinstance(key, ECKey | OKPKey):
        return _CURVES.get(key.curve_name, frozenset())
    size = len(key.raw_value)
    return frozenset(name for name, least in _SECRETS.items() if size >= least)


def key_of(native: object) -> Key | None:
    """Return a key of the library ``cryptography``, or ``None`` for another kind."""
    if isinstance(native, RSAPublicKey | RSAPrivateKey):
        return RSAKey.import_key(native) if native.key_size >= _MODULUS else None
    if isinstance(native, EllipticCurvePublicKey | EllipticCurvePrivateKey):
        return ECKey.import_key(native) if native.curve.name in _NAMES else None
    if isinstance(native, Ed25519PublicKey | Ed25519PrivateKey):
        return OKPKey.import_key(native)
    return None
