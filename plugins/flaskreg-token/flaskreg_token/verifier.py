"""Verifies tokens, each signature once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from collections.abc import Collection
from dataclasses import replace

from joserfc import jws
from joserfc.errors import JoseError

from flaskreg.lru import LRU
from flaskreg_token.algorithms import ALGORITHMS
from flaskreg_token.algorithms import Registry
from flaskreg_token.claims import LEEWAY
from flaskreg_token.claims import Claims as Claims
from flaskreg_token.claims import read_claims
from flaskreg_token.compact import LONGEST
from flaskreg_token.compact import Compact
from flaskreg_token.compact import parse_compact
from flaskreg_token.refused import TokenRefused as TokenRefused
from flaskreg_token.trust import KeySource
from flaskreg_token.trust import Trust


#: what the tokens that are remembered hold together: themselves and their accesses.
REMEMBERED = 16384

#: what ``typ`` may say of a token that grants access; it may also be left out.
ACCESS_TYPES = frozenset({"jwt", "at+jwt"})

_Known = tuple[Trust, Claims]


def _weigh(known: _Known) -> int:
    return 1 + len(known[1].accesses)


class TokenVerifier:
    """Verifies tokens of one issuer for one service.

    A good token is remembered until it expires or the keys change, so that its
    signature is paid for once.

    :param source: of the trusted keys, such as a :class:`~flaskreg_token.keys.KeyRing`.
    :param issuer: who has to have made the tokens.
    :param service: for whom they have to be.
    :param algorithms: that they may be signed with.
    :param clock: for tests.
    """

    def __init__(
        self,
        source: KeySource,
        issuer: str,
        service: str,
        algorithms: Collection[str] = ALGORITHMS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._issuer = issuer
        self._service = service
        self._algorithms = frozenset(algorithms)
        self._clock = clock
        self._known: LRU[bytes, _Known] = LRU(REMEMBERED, _weigh)

    def verify(self, token: str) -> Claims:
        """Return what a token says.

        :raises TokenRefused: it is not good here, or not now.
        """
        if len(token) > LONGEST:
            raise TokenRefused("it is too long")
        trust = self._source.trusted()
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            if known[0] is trust and known[1].expires + LEEWAY >= self._clock():
                return known[1]
            self._known.discard(digest)
        # Another process may have made the key a moment ago.
        trust = self._source.trusted(anew=True)
        compact = parse_compact(token)
        try:
            check_type(compact, ACCESS_TYPES, required=False)
            check_signature(compact, trust, self._algorithms)
            claims = read_claims(
                compact.claims, self._issuer, self._service, self._clock()
            )
        except TokenRefused as error:
            raise TokenRefused(error.reason, compact.facts()) from None
        claims = replace(claims, facts=compact.facts())
        self._known.set(digest, (trust, claims))
        return claims


def check_type(compact: Compact, types: Collection[str], *, required: bool) -> None:
    """Check that a token is of one of some types.

    Source: RFC 8725, 3.11: tokens for one purpose are no good for another one.

    :raises TokenRefused: it is not.
    """
    stated = compact.header.get("typ")
    if stated is None and not required:
        return
    kind = stated.lower() if isinstance(stated, str) else ""
    if kind.removeprefix("application/") not in types:
        raise TokenRefused("it is of another type")


def check_signature(
    compact: Compact, trust: Trust, algorithms: Collection[str]
) -> None:
    """Check that a token is signed by a trusted key, and as that key signs.

    :raises TokenRefused: it is not.
    """
    header, algorithm = compact.header, compact.algorithm
    if algorithm not in algorithms:
        raise TokenRefused(f"its algorithm {algorithm!r:.20} is not accepted")
    # Nothing is understood that somebody could call critical (RFC 7515, 4.1.11).
    if "crit" in header or "b64" in header:
        raise TokenRefused("it has critical members that are not understood")
    trusted = trust.find(header)
    if algorithm not in trusted.algorithms:
        raise TokenRefused(f"its key does not sign by {algorithm}")
    try:
        jws.deserialize_compact(compact.text, trusted.key, registry=Registry(algorithm))
    except (JoseError, ValueError, TypeError) as error:
        name = type(error).__name__
        raise TokenRefused(f"its signature is wrong ({name})") from None
