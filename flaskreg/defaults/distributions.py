"""Which distribution to install for what a configuration names.

It is needed where a name is not that of its distribution; whatever is not here is
looked for as ``flaskreg-<name>``, as our own plugins and those of others are called.
"""

from __future__ import annotations

from collections.abc import Mapping


#: distributions by the name of what they offer.
DISTRIBUTIONS: Mapping[str, str] = {
    "accel": "flaskreg-middleware",
    "redirect": "flaskreg-middleware",
    "rewrite": "flaskreg-middleware",
    "s3aws": "flaskreg-s3",
}


def distribution_of(name: str) -> str:
    """Return the distribution that most likely offers *name*."""
    return DISTRIBUTIONS.get(name, f"flaskreg-{name}")
