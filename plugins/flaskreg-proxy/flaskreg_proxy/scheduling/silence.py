"""For how long somebody has given no sign of life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Silence:
    """The silence of one worker, as another one sees it.

    Only time in which the other one looked counts: when a machine was asleep, all of
    its workers were.

    :param sign: the last one that was seen.
    :param looked_at: when, in steady seconds.
    """

    sign: Any
    looked_at: float
    seconds: float = 0.0

    def look(self, sign: Any, now: float, expiry: float) -> bool:
        """Take note of a sign, and return whether its giver is dead.

        :param expiry: seconds without a new sign after which it is; that takes several
            looks.
        """
        if sign != self.sign:
            self.sign, self.seconds = sign, 0.0
        else:
            self.seconds += min(now - self.looked_at, expiry / 4)
        self.looked_at = now
        return self.seconds > expiry
