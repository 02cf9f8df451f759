"""The keys of an OpenID Connect issuer: discovered, fetched, and held on to.

Source: OpenID Connect Discovery 1.0, 4; RFC 7517.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jwk import Key
from joserfc.jwk import OKPKey
from joserfc.jwk import RSAKey

from flaskreg_policy.identity import WrongCredentials


#: the most bytes of a document of the issuer, and the most keys of a set.
MOST_BYTES = 512 * 1024
MOST_KEYS = 200

#: how long a set of keys is used before it is fetched again, in seconds.
LIFETIME = 3600.0

#: how long nothing is fetched after something was, whatever tokens say.
PAUSE = 30.0

_TYPES: dict[str, type[Key]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_log = logging.getLogger("flaskreg.policy")


class WrongDocument(ValueError):
    """What an issuer answered is not what it should be."""


class IssuerKeys:
    """The public keys of one issuer.

    They are fetched when they are first needed, and again when they are old or a token
    names one that is not there; at most once in :data:`PAUSE` seconds, and never by two
    threads at once. What was fetched once is used until something better is there.

    :param issuer: its URL.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._keys: tuple[Key, ...] = ()
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._lock = threading.Lock()
        self._pool: urllib3.PoolManager | None = None

    def find(self, kid: str | None) -> Sequence[Key]:
        """Return the keys with an id; all of them when a token names none.

        :raises WrongCredentials: there is none, also not after fetching them.
        """
        now = time.monotonic()
        found = self._matching(kid)
        if (not found or now - self._fetched > LIFETIME) and self._may_try(now):
            self._refresh(kid)
            found = self._matching(kid)
        if not found:
            raise WrongCredentials(f"issuer {self._issuer} has no key {kid!r:.80}")
        return found

    def _may_try(self, now: float) -> bool:
        return now - self._tried > PAUSE

    def _matching(self, kid: str | None) -> tuple[Key, ...]:
        return (
            self._keys
            if kid is None
            else tuple(key for key in self._keys if key.kid == kid)
        )

    def _refresh(self, kid: str | None) -> None:
        # Whoever has a key goes on with it while another thread fetches.
        if not self._lock.acquire(blocking=not self._matching(kid)):
            return
        try:
            if not self._may_try(time.monotonic()):
                return
            try:
                self._keys = self._fetch()
                self._fetched = time.monotonic()
            except (urllib3.exceptions.HTTPError, ValueError) as error:
                _log.error("issuer %s: no keys: %s", self._issuer, error)
            self._tried = time.monotonic()
        finally:
            self._lock.release()

    def _fetch(self) -> tuple[Key, ...]:
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = self._get_json(url)
        if found.get("issuer") != self._issuer:
            raise WrongDocument(
                f"{url} is about the issuer {found.get('issuer')!r:.200}"
            )
        place = found.get("jwks_uri")
        if not isinstance(place, str) or not is_safe(place, self._issuer):
            raise WrongDocument(f"jwks_uri is not a URL to trust: {place!r:.200}")
        entries = self._get_json(place).get("keys")
        if not isinstance(entries, list):
            raise WrongDocument(f"{place} holds no keys")
        keys = tuple(_import(entries[:MOST_KEYS]))
        if not keys:
            raise WrongDocument(f"{place} holds no key that is known")
        return keys

    def _get_json(self, url: str) -> dict[str, Any]:
        if self._pool is None:
            self._pool = urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=3.0, read=5.0),
                retries=urllib3.Retry(1, redirect=0, raise_on_redirect=False),
                maxsize=2,
            )
        response = self._pool.request(
            "GET",
            url,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            redirect=False,
            preload_content=False,
        )
        try:
            content = response.read(MOST_BYTES + 1)
            if response.status != 200 or len(content) > MOST_BYTES:
                raise WrongDocument(f"{url}: status {response.status}, or too long")
        finally:
            response.close()
        try:
            document = json.loads(content)
        except RecursionError:
            raise WrongDocument(f"{url}: is nested too deep") from None
        if not isinstance(document, dict):
            raise WrongDocument(f"{url}: is no object")
        return document


def is_safe(url: str, issuer: str = "") -> bool:
    """Whether keys may be fetched from *url*: by TLS, or from this very machine.

    :param issuer: plain HTTP is good for it when this one is on loopback as well.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    if parts.scheme == "http" and host in _LOOPBACK:
        return not issuer or urlsplit(issuer).hostname in _LOOPBACK
    return parts.scheme == "https"


def _import(entries: Iterable[object]) -> Iterable[Key]:
    """Yield the public signing keys of a set; others are passed over."""
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        kind = _TYPES.get(str(entry.get("kty")))
        if kind is None:
            continue
        try:
            yield kind.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            _log.warning("a key of the issuer is not used: %s", type(error).__name__)
