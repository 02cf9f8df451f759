"""Bearer tokens: kept until they expire, and shared by the workers of a machine."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import key_of
from flaskreg_proxy.workplace import Workplace


#: a token is good for so long when its server does not say, and at least, in seconds.
#: Source: docker's token authentication.
SHORTEST = 60.0

#: a token is not used in its last seconds, nor when it claims to live for longer.
MARGIN = 5.0
LONGEST = 24 * 3600.0

#: how long to wait for another process that asks for the same token, in seconds.
PATIENCE = 10.0
#: tokens that one process remembers.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    text: str
    #: seconds since the epoch.
    expires: float

    @property
    def good(self) -> bool:
        """Whether it can still be used."""
        return time.time() < self.expires - MARGIN


class TokenStore:
    """Tokens by what they are for.

    :param workplace: its folder of tokens is readable by this user alone.
    """

    def __init__(self, workplace: Workplace) -> None:
        #: where they are kept, and what else is known of upstreams.
        self.workplace = workplace
        self._lock = threading.Lock()
        self._memory: dict[str, Token] = {}

    def get(self, purpose: tuple[str, ...], fetch: Callable[[], Token]) -> Token:
        """Return a good token, asking for one once for all who need it now.

        :param purpose: upstream, realm, service, scope and user.
        """
        key = key_of(*purpose)
        token = self._memory.get(key)
        if token is not None and token.good:
            return token
        path = self.workplace.token(key)
        lease = Lease.take(f"{path}.lock", PATIENCE)
        try:
            token = _read(path)
            if token is None or not token.good:
                token = fetch()
                _write(path, token)
        finally:
            if lease is not None:
                lease.release()
        self._remember(key, token)
        return token

    def forget(self, purpose: tuple[str, ...], text: str) -> None:
        """Drop a token that was refused, unless it is another one by now."""
        key = key_of(*purpose)
        path = self.workplace.token(key)
        with self._lock:
            kept = self._memory.get(key)
            if kept is not None and kept.text == text:
                del self._memory[key]
        stored = _read(path)
        if stored is not None and stored.text == text:
            try:
                os.unlink(path)
            except FileNotFoundError:
                return

    def _remember(self, key: str, token: Token) -> None:
        with self._lock:
            if len(self._memory) >= _REMEMBERED:
                kept = {k: it for k, it in self._memory.items() if it.good}
                self._memory = kept if len(kept) < _REMEMBERED else {}
            self._memory[key] = token


def lifetime(expires_in: object) -> float:
    """Return how long a token lives by what its server says, in seconds."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return SHORTEST
    return min(max(float(expires_in), SHORTEST), LONGEST)


def _read(path: str) -> Token | None:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        return Token(str(document["token"]), float(document["expires"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: str, token: Token) -> None:
    """Keep a token for the other workers; without a place for it they ask too."""
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}"
    document = {"token": token.text, "expires": token.expires}
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
        os.replace(temporary, path)
    except OSError:
        return
