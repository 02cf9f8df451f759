"""The keys that are trusted, and which of them a token has to be signed by.

Source: CNCF distribution's ``token`` controller: ``VerifySigningKey``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import InvalidKeyTypeError
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from joserfc.jwk import Key

from flaskreg_token.algorithms import algorithms_of
from flaskreg_token.algorithms import key_of
from flaskreg_token.certificates import key_of_chain
from flaskreg_token.refused import TokenRefused


@dataclass(frozen=True)
class TrustedKey:
    """A key, and the algorithms that it is trusted with."""

    key: Key = field(repr=False)
    algorithms: frozenset[str]


@dataclass(frozen=True, eq=False)
class Trust:
    """All keys that are trusted at a time; another object once they change.

    :param keys: by their ids.
    :param roots: where chains of certificates have to end.
    """

    keys: Mapping[str, TrustedKey] = field(default_factory=dict)
    roots: tuple[x509.Certificate, ...] = ()

    def find(self, header: Mapping[str, Any]) -> TrustedKey:
        """Return the key that a token with *header* has to be signed by.

        A key that a token brings along is never used: of ``jwk`` the chain counts, or
        else the id; what ``jku`` and ``x5u`` name is not looked at.

        :raises TokenRefused: there is none.
        """
        if header.get("x5c"):
            return self._by_chain(header["x5c"])
        kid = header.get("kid")
        brought = header.get("jwk")
        if brought is not None:
            if not isinstance(brought, dict):
                raise TokenRefused("jwk is not a key")
            if brought.get("x5c"):
                return self._by_chain(brought["x5c"])
            kid = brought.get("kid")
        if not isinstance(kid, str) or not kid:
            raise TokenRefused("it does not name its key")
        if kid not in self.keys:
            raise TokenRefused("its key is not one of the trusted ones")
        return self.keys[kid]

    def _by_chain(self, chain: object) -> TrustedKey:
        key = key_of_chain(chain, self.roots)
        return TrustedKey(key, algorithms_of(key))


class KeySource(Protocol):
    """Knows the keys that are trusted, as of now."""

    def trusted(self, *, anew: bool = False) -> Trust:
        """Return them: the same object as long as nothing changes.

        :param anew: look for changes now in any case.
        """


def keys_of_roots(roots: tuple[x509.Certificate, ...]) -> dict[str, TrustedKey]:
    """Return the keys of certificates by their RFC 7638 thumbprints."""
    found = {}
    for root in roots:
        try:
            key = key_of(root.public_key())
        except (ValueError, UnsupportedAlgorithm):
            continue
        if key is not None:
            found[key.thumbprint()] = TrustedKey(key, algorithms_of(key))
    return found


def parse_jwks(content: bytes) -> dict[str, TrustedKey]:
    """Return the keys of a JWKS that can verify signatures, by their ids.

    A key without an id has its thumbprint as one. Keys for other purposes and of
    unknown types are left out, as RFC 7517, 5 wants it.

    :raises ValueError: it is not a JWKS, or a key of it is broken.
    """
    try:
        members = [dict(each) for each in json.loads(content)["keys"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it is not JSON with a list of keys") from None
    found = {}
    for number, each in enumerate(members):
        try:
            key = JWKRegistry.import_key(each)
        except InvalidKeyTypeError:
            continue
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"keys[{number}]: {error}") from None
        usable = _usable(key)
        if usable:
            found[key.kid or key.thumbprint()] = TrustedKey(key, usable)
    return found


def _usable(key: Key) -> frozenset[str]:
    """Return the algorithms that a key of a JWKS is for."""
    operations = key.get("key_ops")
    if key.get("use") not in (None, "sig"):
        return frozenset()
    if operations is not None and not {"verify", "sign"} & set(operations):
        return frozenset()
    possible = algorithms_of(key)
    return possible if key.alg is None else possible & {key.alg}
