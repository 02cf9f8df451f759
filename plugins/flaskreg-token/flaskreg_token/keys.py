"""The keys that sign our own tokens, from the oldest to the newest.

The newest signs; all verify, so that what the older ones signed stays good until they
are taken away.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey
from joserfc.jwk import Key

from flaskreg.errors import Unavailable
from flaskreg.filelook import FileLook
from flaskreg.filelook import Look
from flaskreg_token.algorithms import ALGORITHMS
from flaskreg_token.algorithms import algorithms_of
from flaskreg_token.algorithms import key_of
from flaskreg_token.keyfolder import add_numbered
from flaskreg_token.keyfolder import pem_files
from flaskreg_token.trust import Trust
from flaskreg_token.trust import TrustedKey


_log = logging.getLogger("flaskreg.token")

#: a folder or file that changed less long ago (ns) may change without looking changed.
_FRESH = 2_000_000_000

#: what the coordinates of a P-256 key are long, in characters of base64url.
_COORDINATE = 43


@dataclass(frozen=True)
class SigningKey:
    """A private key.

    :param kid: its RFC 7638 thumbprint.
    :param algorithm: that it signs by, of which there is one.
    :param path: of its file.
    """

    kid: str
    algorithm: str
    path: str
    key: Key = field(repr=False)


@dataclass(frozen=True)
class _State:
    signature: Look | None = None
    settled: bool = False
    keys: tuple[SigningKey, ...] = ()
    trust: Trust = field(default_factory=Trust)


class KeyRing:
    """Private keys, generated in a folder or configured as PEM files.

    All worker processes, and all servers of one registry, share the folder. Nothing is
    read before the first call, and a change of the folder applies at once.

    :param path: a folder, whose ``*.pem`` count in the order of their names, and in
        which the first key is made when it is needed; or the names of PEM files.
    """

    def __init__(self, path: str | Sequence[str]) -> None:
        self._folder = path if isinstance(path, str) else ""
        self._files = () if isinstance(path, str) else tuple(path)
        self._look = FileLook(*(self._files or (self._folder,)))
        self._state = _State()
        self._lock = threading.Lock()

    def all(self) -> tuple[SigningKey, ...]:
        """Return the keys, the newest last; none is made."""
        return self._current().keys

    def signing_key(self) -> SigningKey:
        """Return the newest key; the first one is made when there is none.

        :raises Unavailable: there is none, and none can be made.
        """
        keys = self.all()
        if not keys:
            if self._may_generate():
                self._generate(first=True)
            # Another process may have made it meanwhile.
            keys = self.all()
        if not keys:
            raise Unavailable("there is no key to sign tokens with")
        return keys[-1]

    def rotate(self) -> SigningKey:
        """Make a key that signs from now on, and return it.

        :raises Unavailable: it cannot be made, or the keys are configured as files.
        """
        if not self._folder or os.path.isfile(self._folder):
            raise Unavailable("keys that are configured as files are not made here")
        self._generate(first=False)
        return self.signing_key()

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set, the oldest first."""
        self.signing_key()
        keys = []
        for each in self.all():
            public = dict(each.key.as_dict(private=False))
            public.update(kid=each.kid, use="sig", alg=each.algorithm)
            keys.append(public)
        return {"keys": keys}

    def trusted(self, *, anew: bool = False) -> Trust:
        """Return the keys as those that verify tokens."""
        return self._current(anew=anew).trust

    def _current(self, *, anew: bool = False) -> _State:
        state = self._state
        signature = self._look.take(anew=anew)
        if signature == state.signature and state.settled:
            return state
        with self._lock:
            if signature != self._state.signature or not self._state.settled:
                self._state = self._read(signature)
            return self._state

    def _read(self, signature: Look) -> _State:
        """Return what is there now; a bad edit leaves the keys of before."""
        started = time.time_ns()
        before = self._state
        settled = all(each[0] < started - _FRESH for each in signature)
        try:
            keys = tuple(_load(path) for path in self._paths())
        except (OSError, ValueError) as error:
            if signature != before.signature:
                _log.error("signing keys: %s; the keys of before still hold", error)
            return _State(signature, settled, before.keys, before.trust)
        if keys and keys == before.keys:
            return _State(signature, settled, before.keys, before.trust)
        trusted = {it.kid: TrustedKey(it.key, frozenset({it.algorithm})) for it in keys}
        return _State(signature, settled, keys, Trust(trusted))

    def _paths(self) -> Sequence[str]:
        if self._files or os.path.isfile(self._folder):
            return self._files or (self._folder,)
        try:
            return pem_files(self._folder)
        except FileNotFoundError:
            if self._state.keys:
                raise
            return ()

    def _may_generate(self) -> bool:
        if not self._folder or os.path.isfile(self._folder):
            return False
        try:
            return not pem_files(self._folder)
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _generate(self, *, first: bool) -> None:
        try:
            path = add_numbered(self._folder, generate_pem(), first=first)
        except OSError as error:
            _log.error("%s: no key can be made: %s", self._folder, error.strerror)
            raise Unavailable("no key can be made to sign tokens with") from None
        self._look.take(anew=True)
        if path:
            _log.info("a key that signs tokens is made: %s", path)


def generate_pem() -> bytes:
    """Return a new private key as PEM.

    It is one of P-256, whose coordinates begin with no zero byte: distribution leaves
    such bytes out of the thumbprints by which it finds keys of a rootcertbundle.
    """
    while True:
        key = ECKey.generate_key("P-256")
        public = key.as_dict(private=False)
        lengths = {len(str(public[name]).lstrip("A")) for name in ("x", "y")}
        if lengths == {_COORDINATE}:
            return key.as_pem(private=True)


def _load(path: str) -> SigningKey:
    with open(path, "rb") as stream:
        content = stream.read()
    try:
        key = key_of(load_pem_private_key(content, None))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What the library says of it could repeat what stands in the file.
        raise ValueError(f"{path}: is not a private key in PEM") from None
    if key is None:
        raise ValueError(
            f"{path}: is not an RSA key of 2048 bits, an EC or Ed25519 key"
        )
    usable = algorithms_of(key)
    algorithm = next(it for it in (*_PREFERRED, *ALGORITHMS) if it in usable)
    return SigningKey(key.thumbprint(), algorithm, path, key)


_PREFERRED = ("RS256",)
