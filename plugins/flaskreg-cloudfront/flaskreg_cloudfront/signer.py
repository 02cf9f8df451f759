"""URLs that CloudFront lets through: signed with a canned policy.

Source: Amazon CloudFront Developer Guide, "Creating a signed URL using a canned
policy".
"""

from __future__ import annotations

import base64
import json
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


#: base64 without the characters that mean something in a query.
_SAFE = bytes.maketrans(b"+=/", b"-_~")


class Clock(Protocol):
    """Gives the time in seconds since 1970."""

    def __call__(self) -> float:
        """Return it."""


class Signer:
    """Signs URLs with the private key of a key pair.

    :param key: RSA, as CloudFront wants it.
    :param key_pair_id: by which CloudFront finds the public key.
    """

    def __init__(self, key: RSAPrivateKey, key_pair_id: str) -> None:
        self._key = key
        self._key_pair_id = key_pair_id

    def sign(self, url: str, expires: int) -> str:
        """Return *url*, which has no query, with a signature.

        :param expires: seconds since 1970, after which CloudFront refuses it.
        """
        # CloudFront verifies SHA-1 and nothing else.
        signature = self._key.sign(
            policy(url, expires),
            padding.PKCS1v15(),
            hashes.SHA1(),
        )
        encoded = base64.b64encode(signature).translate(_SAFE).decode("ascii")
        query = f"Expires={expires}&Signature={encoded}&Key-Pair-Id={self._key_pair_id}"
        return f"{url}?{query}"


def policy(url: str, expires: int) -> bytes:
    """Return the canned policy, to the byte as CloudFront puts it together."""
    condition = {"DateLessThan": {"AWS:EpochTime": expires}}
    statement = {"Resource": url, "Condition": condition}
    return json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()


def load_key(path: str) -> RSAPrivateKey:
    """Read a private key (PEM, PKCS#1 or PKCS#8, not encrypted).

    :raises ValueError: it cannot be read, or is no RSA key.
    """
    try:
        with open(path, "rb") as stream:
            key = load_pem_private_key(stream.read(1 << 16), None)
    except OSError as error:
        raise ValueError(error.strerror) from None
    except (ValueError, TypeError):
        # What the parser says may hold a part of the key.
        raise ValueError("it is no private key in PEM without a passphrase") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("it is no RSA key")  # noqa: TRY004 - it is the file
    return key
