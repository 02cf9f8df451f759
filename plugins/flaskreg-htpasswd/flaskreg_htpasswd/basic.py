"""The header of a user name and a password.

Source: RFC 7617.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping


def parse_basic(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return user name and password, or ``None`` when there are none to speak of.

    What does not parse is nobody's, as no credentials are. A name is UTF-8; of a
    password every byte is kept, whatever it means.
    """
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(value.strip(" "), validate=True)
        user, colon, password = decoded.partition(b":")
        name = user.decode()
    except ValueError:
        return None
    if not colon or not name:
        return None
    return name, password.decode("utf-8", "surrogateescape")


def quote_realm(realm: str) -> str:
    """Return a realm as a quoted string of a header."""
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
