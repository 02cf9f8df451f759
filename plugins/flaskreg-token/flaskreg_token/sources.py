"""The files of trusted keys, read again when they change."""

from __future__ import annotations

import logging
import threading
import time

from cryptography import x509

from flaskreg.config import ConfigError
from flaskreg.filelook import FileLook
from flaskreg.filelook import Look
from flaskreg_token.certificates import parse_bundle
from flaskreg_token.trust import Trust
from flaskreg_token.trust import keys_of_roots
from flaskreg_token.trust import parse_jwks


_log = logging.getLogger("flaskreg.token")

#: a file that changed less long ago (ns) may change again without looking changed.
_FRESH = 2_000_000_000


class KeyFiles:
    """A bundle of root certificates, a JWKS, or both.

    They are read at once; each later look costs a ``stat``. What a bad edit leaves are
    the keys of before.

    :param rootcertbundle: the name of a PEM file; ``""`` for none.
    :param jwks: the name of a JSON file; ``""`` for none.
    :raises ConfigError: one of them cannot be read, or there is no key in them.
    """

    def __init__(self, rootcertbundle: str, jwks: str) -> None:
        self._bundle = rootcertbundle
        self._jwks = jwks
        self._lock = threading.Lock()
        self._look = FileLook(rootcertbundle, jwks)
        self._signature = self._look.take()
        self._content = self._read()
        self._settled = False
        self._trust = self._parse(self._content)

    def trusted(self, *, anew: bool = False) -> Trust:
        """Return the keys that the files hold."""
        signature = self._look.take(anew=anew)
        if signature != self._signature or not self._settled:
            with self._lock:
                if signature != self._signature or not self._settled:
                    self._reload(signature)
        return self._trust

    def _reload(self, signature: Look) -> None:
        started = time.time_ns()
        told = signature == self._signature
        try:
            content = self._read()
            if content != self._content:
                self._content = content
                self._trust = self._parse(content)
                _log.info("the keys are read again")
        except ConfigError as error:
            if not told:
                _log.error("%s; the keys of before still hold", error)
        self._signature = signature
        self._settled = all(each[0] < started - _FRESH for each in signature)

    def _read(self) -> tuple[bytes, bytes]:
        return (
            _read("rootcertbundle", self._bundle),
            _read("jwks", self._jwks),
        )

    def _parse(self, content: tuple[bytes, bytes]) -> Trust:
        bundle, jwks = content
        roots: tuple[x509.Certificate, ...] = ()
        try:
            if self._bundle:
                roots = parse_bundle(bundle)
        except ValueError as error:
            raise _wrong("rootcertbundle", self._bundle, error) from None
        keys = keys_of_roots(roots)
        try:
            if self._jwks:
                keys.update(parse_jwks(jwks))
        except ValueError as error:
            raise _wrong("jwks", self._jwks, error) from None
        if not keys and not roots:
            raise ConfigError(
                "auth.token: rootcertbundle and jwks hold no key that can verify tokens"
            )
        return Trust(keys, roots)


def _read(key: str, path: str) -> bytes:
    if not path:
        return b""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise _wrong(key, path, error.strerror or error) from None


def _wrong(key: str, path: str, reason: object) -> ConfigError:
    return ConfigError(f"auth.token.{key}: {path}: {str(reason)[:200]}")
