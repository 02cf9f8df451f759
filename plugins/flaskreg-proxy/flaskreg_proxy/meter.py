"""The numbers of the caches as metrics, over all processes of the server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.measurement import Measurement
from flaskreg_proxy import counters as names
from flaskreg_proxy.counters import counters_folder
from flaskreg_proxy.tally import Told
from flaskreg_proxy.tally import iter_told


#: what is counted: the sentence, and the labels.
FAMILIES: Mapping[str, tuple[str, Sequence[str]]] = {
    names.REQUESTS: ("Requests to caches.", ["type"]),
    names.HITS: ("Requests to caches that were served from them.", ["type"]),
    names.MISSES: (
        "Requests to caches that were served from what an upstream sent.",
        ["type"],
    ),
    names.PULLED: ("Bytes of content received from upstreams.", ["type"]),
    names.PUSHED: ("Bytes of content that clients were answered with.", ["type"]),
    names.STALE: (
        "Manifests that were served marked, as their tags could not be looked up.",
        [],
    ),
    names.LOOKUPS: ("Look-ups of tags at upstreams, by what came of them.", ["result"]),
    names.DOWNLOADS: ("Downloads of blobs, by what came of them.", ["result"]),
    names.RESUMED: ("Times that a download was cut and gone on with.", []),
    names.ASKED: (
        "Requests to the API of a server of an upstream, without those for tokens.",
        ["upstream"],
    ),
    names.ERRORS: (
        "Requests to a server of an upstream that it did not answer as it should.",
        ["upstream", "kind"],
    ),
}

#: what a server says of its limits: the metric, and the sentence.
LIMITS = {
    names.LIMIT: (
        "flaskreg_proxy_ratelimit_limit",
        "Pulls that an upstream allows in a window, as it said last.",
    ),
    names.REMAINING: (
        "flaskreg_proxy_ratelimit_remaining",
        "Pulls that an upstream still allows, as it said last.",
    ),
    names.WINDOW: (
        "flaskreg_proxy_ratelimit_window_seconds",
        "The window in which an upstream counts pulls.",
    ),
}
BREAKER = "flaskreg_proxy_breaker_open"


def measure() -> Iterator[Measurement]:
    """Yield the numbers of all processes that serve, or have served, caches."""
    told = list(iter_told(counters_folder()))
    yield from _counted(told)
    yield from _limits(told)
    yield from _breakers(told)


def _counted(told: Sequence[Told]) -> Iterator[Measurement]:
    sums: Counter[tuple[str, ...]] = Counter()
    for each in told:
        sums.update(each.numbers)
    for key, value in sorted(sums.items()):
        family = FAMILIES.get(key[0])
        if family is not None:
            sentence, labels = family
            pairs = dict(zip(labels, key[1:], strict=True))
            yield Measurement(key[0], "counter", sentence, value, pairs)


def _limits(told: Sequence[Told]) -> Iterator[Measurement]:
    """Yield what each server said last, to whichever process."""
    for host in _hosts(told):
        newest = max((each.numbers for each in told), key=lambda it: _told(it, host))
        if _told(newest, host):
            for key, (name, sentence) in LIMITS.items():
                value, labels = newest[key, host], {"upstream": host}
                yield Measurement(name, "gauge", sentence, value, labels)


def _breakers(told: Sequence[Told]) -> Iterator[Measurement]:
    now = time.monotonic() * 1000
    for host in _hosts(told):
        count = sum(
            each.lives and each.numbers.get((names.LEFT_ALONE, host), 0) > now
            for each in told
        )
        yield Measurement(
            BREAKER,
            "gauge",
            "Worker processes that leave a server alone now, since it failed.",
            count,
            {"upstream": host},
        )


def _hosts(told: Sequence[Told]) -> Sequence[str]:
    return sorted(
        {key[1] for each in told for key in each.numbers if key[0] == names.TOLD}
    )


def _told(numbers: Mapping[tuple[str, ...], int], host: str) -> int:
    return numbers.get((names.TOLD, host), 0)
