"""The address ranges of AWS, fetched again and again beside the requests.

A client inside of AWS reads the bucket itself without cost, and need not go through
CloudFront. Until the ranges are there, and whenever they cannot be had, nobody is
inside.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import threading
import urllib.request
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any


#: the largest document that is read, in bytes; AWS's own has about 2 MiB.
LARGEST = 16 << 20

#: seconds to wait for it.
TIMEOUT = 30

#: seconds after which a fetch that failed is tried again, at the most.
RETRY = 60.0

_log = logging.getLogger("flaskreg")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Networks:
    """A set of networks, in which an address is looked up by each length of prefix.

    :param networks: in CIDR notation.
    :raises ValueError: one is none.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._by_length: dict[tuple[int, int], set[int]] = {}
        for text in networks:
            network = ipaddress.ip_network(text, strict=False)
            key = (network.version, network.max_prefixlen - network.prefixlen)
            value = int(network.network_address) >> key[1]
            self._by_length.setdefault(key, set()).add(value)

    def __contains__(self, address: Address) -> bool:
        return any(
            version == address.version and int(address) >> shift in known
            for (version, shift), known in self._by_length.items()
        )


class AwsRanges:
    """The ranges of AWS, or of some of its regions.

    :param url: of ``ip-ranges.json``.
    :param regions: which count; empty: all.
    :param interval: seconds between two fetches.
    """

    def __init__(self, url: str, regions: Collection[str], interval: float) -> None:
        self.url = url
        self.regions = frozenset(regions)
        self.interval = interval
        self._networks = Networks([])
        self._lock = threading.Lock()
        #: the process in which the thread runs that fetches.
        self._pid = 0
        self._ended = threading.Event()

    def __contains__(self, text: str) -> bool:
        """Whether an address is in one of the ranges, as far as they are known."""
        self._start()
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address) in self._networks

    def fetch(self) -> None:
        """Get the ranges now.

        :raises OSError: they cannot be had.
        :raises ValueError: what was got are none.
        """
        with urllib.request.urlopen(self.url, timeout=TIMEOUT) as response:
            content = response.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        self._networks = Networks(iter_prefixes(json.loads(content), self.regions))

    def close(self) -> None:
        """End the thread that fetches."""
        self._ended.set()

    def _start(self) -> None:
        """Let a thread fetch, one in each process that asks."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(
                    target=self._run, name="flaskreg-cloudfront", daemon=True
                ).start()

    def _run(self) -> None:
        wait = 0.0
        while not self._ended.wait(wait):
            wait = self.interval
            try:
                self.fetch()
            except (OSError, ValueError) as error:
                _log.warning("%s: the ranges of AWS are not known: %s", self.url, error)
                wait = min(self.interval, RETRY)


def iter_prefixes(document: Any, regions: Collection[str]) -> Iterable[str]:
    """Yield the networks of a document such as AWS publishes.

    :raises ValueError: it is none.
    """
    if not isinstance(document, Mapping):
        raise ValueError("not a JSON object")  # noqa: TRY004 - wrong content
    for key, name in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        entries = document.get(key, [])
        if not isinstance(entries, list):
            raise ValueError(f"{key} is no list")  # noqa: TRY004 - likewise
        for entry in entries:
            if not isinstance(entry, Mapping) or not isinstance(entry.get(name), str):
                raise ValueError(f"an entry of {key} has no {name}")  # noqa: TRY004 - so
            if not regions or str(entry.get("region", "")).lower() in regions:
                yield entry[name]
