"""What is had ahead of time on a timetable: ``proxy.prefetch``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence

from flaskreg.config import ConfigError
from flaskreg.config.proxy import Prefetch
from flaskreg.services import Registry
from flaskreg_proxy.images import not_cached
from flaskreg_proxy.images import parse_image
from flaskreg_proxy.mirroring import Choice
from flaskreg_proxy.mirroring import Ended
from flaskreg_proxy.mirroring import Mirroring
from flaskreg_proxy.mirroring import Outcome
from flaskreg_proxy.repository import ProxyRepository
from flaskreg_proxy.scheduling import Job
from flaskreg_proxy.scheduling import parse_timetable
from flaskreg_proxy.upstreams import Upstreams


_log = logging.getLogger("flaskreg.proxy.prefetch")

#: blobs that are received at once: few, since clients wait for others.
_BLOBS = 2


class Told:
    """Progress of which the log is told what goes wrong."""

    def expect(self, size: int) -> None:
        """Count nothing."""

    def advance(self, size: int) -> None:
        """Count nothing."""

    def say(self, sentence: str) -> None:
        """Log it."""
        _log.warning("prefetch: %s", sentence)


class Prefetching:
    """One entry of ``proxy.prefetch``.

    :param settings: the entry.
    :param wanted: its images: names here, each with a tag or digest or without.
    :param registry: returns the registry with the caches.
    """

    def __init__(
        self,
        settings: Prefetch,
        wanted: Sequence[tuple[str, str | None]],
        registry: Callable[[], Registry],
    ) -> None:
        self._choice = Choice(settings.platforms, settings.tags, settings.referrers)
        self._wanted = wanted
        self._registry = registry

    def run(self, go_on: Callable[[], bool]) -> None:
        """Mirror the images; what was cut off before is gone on with."""
        mirroring = Mirroring(self._choice, Told(), _BLOBS, go_on)
        try:
            for name, reference in self._wanted:
                repository = self._registry().repository(name)
                if isinstance(repository, ProxyRepository):
                    mirroring.run(repository, reference)
        except Ended:
            return
        finally:
            mirroring.close()
        _conclude(mirroring.outcome)


def make_jobs(
    entries: Sequence[Prefetch], upstreams: Upstreams, registry: Callable[[], Registry]
) -> list[Job]:
    """Return what is to be done on a timetable.

    :param registry: returns the registry with the caches, once it is made.
    :raises ConfigError: an image is not cached, or a timetable makes no sense.
    """
    jobs = []
    for number, entry in enumerate(entries):
        key = f"proxy.prefetch[{number}]"
        try:
            wanted = [_parse(upstreams, image) for image in entry.images]
        except ConfigError as error:
            raise ConfigError(f"{key}.images: {error}") from None
        timetable = parse_timetable(entry.timetable, f"{key}.timetable")
        what = " ".join((*entry.images, *entry.tags, *entry.platforms))
        run = Prefetching(entry, wanted, registry).run
        jobs.append(Job(f"prefetch {what}", timetable, run))
    return jobs


def _parse(upstreams: Upstreams, image: str) -> tuple[str, str | None]:
    name, reference = parse_image(upstreams.locate, image)
    if upstreams.find(name) is None:
        raise not_cached(image)
    return name, reference


def _conclude(outcome: Outcome) -> None:
    _log.info(
        "prefetch: %d manifests and %d blobs are here, %d bytes came, %d failures",
        outcome.manifests,
        outcome.blobs,
        outcome.received,
        len(outcome.failures),
    )
