"""An identity as the subject of a token.

A token lives for an hour, and what it stands for can change: so its subject says how
the user was identified, and each request looks again. A user of the password file is
named plainly; for others, what the policy cannot know follows, as in a URL's query.

::

    alice
    ci%20build?via=apikey&key=0f3a52
    oidc%3A1234?via=oidc&group=oidc%3Adevelopers
"""

from __future__ import annotations

from urllib.parse import parse_qsl
from urllib.parse import quote
from urllib.parse import unquote
from urllib.parse import urlencode

from flaskreg_policy.identity import Identity


def encode_subject(identity: Identity) -> str:
    """Return the subject that stands for somebody; ``""`` for nobody."""
    details = [("via", identity.via)] if identity.via != "password" else []
    if identity.key:
        details.append(("key", identity.key))
    details += [("group", group) for group in sorted(identity.groups)]
    name = quote(identity.name, safe="@._-")
    return f"{name}?{urlencode(details)}" if details and name else name


def decode_subject(subject: str) -> Identity:
    """Return whom a subject stands for; limits of an API key are not in it."""
    name, _, query = subject.partition("?")
    if not name:
        return Identity()
    details = parse_qsl(query)
    known = dict(details)
    groups = frozenset(value for key, value in details if key == "group")
    return Identity(
        unquote(name), groups, known.get("via", "password"), known.get("key", "")
    )
