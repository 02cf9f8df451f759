"""API keys: what one looks like, and what is kept of it.

A key is ``frk_`` and an id with 32 random bytes, signed by itsdangerous, so that what
is no key of this store is refused before anything is looked up. The store keeps a
digest of the key and never the key: whoever reads it can log in as nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData
from itsdangerous import URLSafeSerializer

from flaskreg_policy.globs import parse_glob
from flaskreg_policy.identity import Limit


#: how every API key begins.
PREFIX = "frk_"

_SALT = "flaskreg-policy api key"


@dataclass(frozen=True)
class ApiKey:
    """What is kept of an API key.

    :param id: public; it names the key in lists and logs.
    :param name: what its user calls it.
    :param user: whose key it is.
    :param digest: of the whole key, as hexadecimal SHA-256.
    :param created: when, in seconds since 1970.
    :param expires: likewise; ``None`` for never.
    :param limits: what it is narrowed to; ``None`` when it is not.
    """

    id: str
    name: str
    user: str
    digest: str
    created: float
    expires: float | None = None
    limits: tuple[Limit, ...] | None = None

    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= time.time()

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in the store."""
        entry: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "user": self.user,
            "digest": self.digest,
            "created": self.created,
            "expires": self.expires,
        }
        if self.limits is not None:
            entry["limits"] = [
                {
                    "repositories": [str(glob) for glob in limit.repositories],
                    "actions": sorted(limit.actions),
                }
                for limit in self.limits
            ]
        return entry

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ApiKey:
        """Return the key of an entry of the store.

        :raises ValueError: the entry is none.
        :raises KeyError: likewise.
        :raises TypeError: likewise.
        """
        limits = entry.get("limits")
        expires = entry["expires"]
        return cls(
            str(entry["id"]),
            str(entry["name"]),
            str(entry["user"]),
            str(entry["digest"]),
            float(entry["created"]),
            None if expires is None else float(expires),
            None if limits is None else tuple(_limit(each) for each in limits),
        )


@dataclass(frozen=True)
class KeySet:
    """All API keys of a store.

    :param secret: signs them; ``""`` as long as there are none.
    """

    secret: str = ""
    keys: tuple[ApiKey, ...] = ()

    def find(self, key_id: str) -> ApiKey | None:
        """Return the key with an id, expired or not, or ``None``."""
        return next((key for key in self.keys if key.id == key_id), None)

    def check(self, text: str) -> ApiKey | str:
        """Return the key that *text* is, or why it is none, for the log."""
        try:
            payload = self._serializer().loads(text.removeprefix(PREFIX))
        except BadData:
            return "no API key of this store"
        key = self.find(str(payload[0])) if isinstance(payload, list) else None
        if key is None:
            return "the API key is revoked"
        if not hmac.compare_digest(key.digest, digest_of(text)):
            return f"not what API key {key.id} is"
        return f"API key {key.id} has expired" if key.expired() else key

    def make(
        self,
        user: str,
        name: str,
        expires: float | None,
        limits: Iterable[Limit] | None,
    ) -> tuple[KeySet, ApiKey, str]:
        """Return a set with one more key, what is kept of it, and the key itself."""
        whole = KeySet(self.secret or secrets.token_urlsafe(32), self.keys)
        key_id = secrets.token_hex(6)
        payload = [key_id, secrets.token_urlsafe(32)]
        text = PREFIX + str(whole._serializer().dumps(payload))
        made = ApiKey(
            key_id,
            name,
            user,
            digest_of(text),
            time.time(),
            expires,
            None if limits is None else tuple(limits),
        )
        return KeySet(whole.secret, (*self.keys, made)), made, text

    def without(self, key_id: str) -> KeySet:
        """Return a set without the key of an id."""
        return KeySet(self.secret, tuple(key for key in self.keys if key.id != key_id))

    def _serializer(self) -> URLSafeSerializer:
        # Without a secret nothing was ever signed, and nothing is to verify.
        return URLSafeSerializer(self.secret or secrets.token_hex(32), salt=_SALT)


def digest_of(text: str) -> str:
    """Return the digest of a key; its 32 random bytes need no slow one."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _limit(entry: Mapping[str, Any]) -> Limit:
    return Limit(
        tuple(parse_glob(text) for text in entry["repositories"]),
        frozenset(str(action) for action in entry["actions"]),
    )
