"""What is never printed, by the names of keys whose values nobody types."""

from __future__ import annotations

import re

from pydantic import SecretStr


MASK = "***"

SECRET_WORDS = (
    "accesskey",
    "accountkey",
    "apikey",
    "authorization",
    "connectionstring",
    "cookie",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "tempurlcontainerkey",
    "tempurlkey",
    "token",
)
"""A key that holds one of these words, dashes apart, has a secret value."""

PUBLIC_KEYS = frozenset({"token_uri"})
"""Keys that hold such a word, and no secret."""

_USER_INFO = re.compile(r"(://[^/?#\s:@]*):[^/?#\s]*@")


def is_secret(key: str) -> bool:
    """Return whether the value of a key, the last part of its name, is a secret."""
    word = re.sub(r"[-_. ]", "", key.lower())
    return key not in PUBLIC_KEYS and any(it in word for it in SECRET_WORDS)


def masked(value: object, key: str = "") -> object:
    """Return a value with every secret in it replaced by ``***``.

    Passwords in URLs are replaced wherever they stand.

    :param value: a plain value: maps, lists, text, numbers.
    :param key: the key that it belongs to.
    """
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, dict):
        return {
            name: MASK if is_secret(name) and _says_something(it) else masked(it, name)
            for name, it in value.items()
        }
    if is_secret(key) and _says_something(value):
        return MASK
    if isinstance(value, list | tuple):
        return [masked(it, key) for it in value]
    if isinstance(value, str):
        return _USER_INFO.sub(rf"\1:{MASK}@", value)
    return value


def _says_something(value: object) -> bool:
    return value not in (None, "", [], {}, (), True, False)
