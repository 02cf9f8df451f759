"""The one exception that a wrong token raises."""

from __future__ import annotations


class TokenRefused(Exception):
    """A token that is not good here.

    :param reason: a sentence for the log; nothing in it is secret.
    :param facts: who made the token, for whom and until when, as it says itself.
    """

    def __init__(self, reason: str, facts: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.facts = facts
