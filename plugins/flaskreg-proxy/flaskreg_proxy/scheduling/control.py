"""What the holder of the lease tells all workers: one file that it alone writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.documents import as_digests
from flaskreg_proxy.scheduling.documents import read_document
from flaskreg_proxy.scheduling.documents import value_of
from flaskreg_proxy.scheduling.documents import write_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One announcement.

    :param generation: of the lease; -1 when nobody has announced anything.
    :param version: grows with each announcement of a generation.
    :param condemned: what is going to be removed unless somebody uses it.
    :param removing: what is being removed now.
    :param grants: bytes that each worker may have filled in its life.
    """

    generation: int = -1
    version: int = 0
    condemned: frozenset[Digest] = frozenset()
    removing: frozenset[Digest] = frozenset()
    grants: Mapping[str, int] = field(default_factory=dict)

    @property
    def stamp(self) -> tuple[int, int]:
        """Return what orders announcements."""
        return (self.generation, self.version)

    def same(self, other: Control) -> bool:
        """Whether the other one is this very announcement."""
        return self.stamp == other.stamp


def read_control(driver: StorageDriver) -> Control:
    """Return what is announced now."""
    document = read_document(driver, places.CONTROL) or {}
    grants = value_of(document, "grants", dict[str, int]())
    return Control(
        generation=value_of(document, "generation", -1),
        version=value_of(document, "version", 0),
        condemned=as_digests(document.get("condemned")),
        removing=as_digests(document.get("removing")),
        grants={name: value_of(grants, name, 0) for name in grants},
    )


def write_control(driver: StorageDriver, control: Control) -> None:
    """Announce."""
    write_document(
        driver,
        places.CONTROL,
        {
            "generation": control.generation,
            "version": control.version,
            "condemned": sorted(control.condemned),
            "removing": sorted(control.removing),
            "grants": dict(control.grants),
        },
    )
