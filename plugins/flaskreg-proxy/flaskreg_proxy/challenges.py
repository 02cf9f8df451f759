"""The challenges of ``WWW-Authenticate``, of which one header may hold several.

Source: RFC 9110, section 11.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field


#: characters of one header that are looked at.
_LONGEST = 8192
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ITEM = re.compile(
    rf"""[\s,]*(?:
    (?P<name>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"]+))
    |(?P<scheme>{_TOKEN})(?=[\s,]|$)(?:\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$)))?
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in which a server lets itself be convinced."""

    #: in lower case: ``basic``, ``bearer``.
    scheme: str
    #: by their names in lower case.
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return all challenges, in their order; what is malformed ends a header."""
    found = []
    for header in headers:
        found += _parse(header[:_LONGEST])
    return found


def _parse(header: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while match := _ITEM.match(header, position):
        position = match.end()
        if match["scheme"]:
            found.append((match["scheme"].lower(), {}))
        elif found:
            value = match["bare"] or _ESCAPE.sub(r"\1", match["quoted"] or "")
            found[-1][1].setdefault(match["name"].lower(), value)
    return [Challenge(scheme, parameters) for scheme, parameters in found]
