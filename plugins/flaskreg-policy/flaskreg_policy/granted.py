"""Grants of tokens, remembered as long as nothing changes that they came from."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from flaskreg.access import Access
from flaskreg.access import Grant
from flaskreg.lru import LRU


_REMEMBERED = 8192

_Key = tuple[bytes, tuple[Access, ...]]


@dataclass(frozen=True)
class _Known:
    state: tuple[object, ...]
    expires: float
    grant: Grant


class Granted:
    """What tokens were granted.

    A client sends one token with many requests. What it was granted for the same
    accesses holds while the policy, the keys and the users are the very same and the
    token has not expired; refusals are not remembered. No token is kept itself.
    """

    def __init__(self) -> None:
        self._known: LRU[_Key, _Known] = LRU(_REMEMBERED)

    def find(
        self, token: str, accesses: Sequence[Access], state: tuple[object, ...]
    ) -> Grant | None:
        """Return the grant, or ``None`` when it has to be decided.

        :param token: with its scheme, as it came.
        :param state: all that a grant depends on besides.
        """
        known = self._known.get(_key(token, accesses))
        if known is None or known.expires <= time.time():
            return None
        for then, now in zip(known.state, state, strict=True):
            if then is not now:
                return None
        return known.grant

    def remember(
        self, token: str, expires: float, grant: Grant, state: tuple[object, ...]
    ) -> None:
        """Remember a grant until the token expires, in seconds since 1970."""
        self._known.set(_key(token, grant.accesses), _Known(state, expires, grant))


def _key(token: str, accesses: Sequence[Access]) -> _Key:
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
    return digest, tuple(accesses)
