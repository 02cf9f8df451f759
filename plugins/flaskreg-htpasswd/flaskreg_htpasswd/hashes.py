"""Password hashes: bcrypt alone, as in distribution."""

from __future__ import annotations

import re

import bcrypt


#: what bcrypt looks at; longer passwords are good when so much of them is.
LONGEST = 72

#: the cost of the hashes that are made here, which is that of distribution's.
COST = 10

_HASH = re.compile(rb"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")


def cost_of(stored: bytes) -> int | None:
    """Return the cost of a hash, or ``None`` when it is not one of bcrypt."""
    match = _HASH.fullmatch(stored)
    return int(match[1]) if match else None


def make_hash(password: bytes, cost: int = COST) -> bytes:
    """Return a new hash of a password.

    :raises ValueError: the password is empty, or longer than what bcrypt looks at.
    """
    if not password:
        raise ValueError("the password is empty")
    if len(password) > LONGEST:
        raise ValueError(f"the password is longer than {LONGEST} bytes")
    if b"\0" in password:
        raise ValueError("the password holds a NUL")
    return bcrypt.hashpw(password, bcrypt.gensalt(cost))


def check_hash(password: bytes, stored: bytes) -> bool:
    """Whether a password is that of a hash, which is one of bcrypt."""
    try:
        return bcrypt.checkpw(password[:LONGEST], stored)
    except ValueError:
        return False


def waste(password: bytes, cost: int) -> None:
    """Take as long as :func:`check_hash` does."""
    bcrypt.hashpw(password[:LONGEST], b"$2b$%02d$" % cost + b"." * 22)
