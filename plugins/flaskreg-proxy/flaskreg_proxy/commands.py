"""``flaskreg mirror``: fill a cache ahead of time."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import DownloadColumn
from rich.progress import Progress
from rich.progress import TaskID
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.progress import TransferSpeedColumn

from flaskreg.app import create_app
from flaskreg.config import load_settings
from flaskreg.services import Registry
from flaskreg.servicewrappers import RepositoryWrapper
from flaskreg_proxy.images import not_cached
from flaskreg_proxy.images import parse_image
from flaskreg_proxy.mirroring import Choice
from flaskreg_proxy.mirroring import Mirroring
from flaskreg_proxy.mirroring import Outcome
from flaskreg_proxy.repository import ProxyRepository


class Bar:
    """A progress bar of bytes.

    :param progress: that is shown.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._total = 0
        self._task: TaskID = progress.add_task("mirroring", total=None)

    def expect(self, size: int) -> None:
        """Count bytes that are to come."""
        self._total += size
        self._progress.update(self._task, total=self._total)

    def advance(self, size: int) -> None:
        """Count bytes that have come, or are here."""
        self._progress.update(self._task, advance=size)

    def say(self, sentence: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(sentence, highlight=False, markup=False)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--config", help="The configuration of the cache.")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    help="Only this platform of an index, such as linux/arm64; may be repeated.",
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    help="Only tags like this glob, of an IMAGE without one; may be repeated.",
)
@click.option(
    "--referrers/--no-referrers",
    default=True,
    show_default=True,
    help="Whether signatures and what else refers to an image come too.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Blobs that are received at once.",
)
def mirror(
    images: Sequence[str],
    config: str | None,
    platforms: Sequence[str],
    tags: Sequence[str],
    *,
    referrers: bool,
    jobs: int,
) -> None:
    """Fill the cache with IMAGE: UPSTREAM/REPOSITORY[:TAG|@DIGEST].

    UPSTREAM is the prefix of one of proxy.upstreams, and left out for a registry that
    is the cache of one other. Without TAG or DIGEST all tags are mirrored. It may run
    while the registry serves, and again: what is here is not had again, and what was
    cut is gone on with.
    """
    registry = create_app(load_settings(config)).site.registry
    wanted = [_parse(registry, image) for image in images]
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        choice = Choice(platforms, tags, referrers)
        mirroring = Mirroring(choice, Bar(progress), jobs)
        try:
            for repository, reference in wanted:
                mirroring.run(repository, reference)
        finally:
            mirroring.close()
    _conclude(mirroring.outcome)


def _parse(registry: Registry, image: str) -> tuple[ProxyRepository, str | None]:
    """Return the cached repository of an image, and the tag or digest.

    :raises ConfigError: it is not one that is cached.
    """
    name, reference = parse_image(registry.locate, image)
    repository = registry.repository(name)
    while isinstance(repository, RepositoryWrapper):
        # What clients are refused does not keep the cache from being filled.
        repository = repository.inner
    if not isinstance(repository, ProxyRepository):
        raise not_cached(image)
    return repository, reference


def _conclude(outcome: Outcome) -> None:
    """Print what was done; anything that failed makes the status 1."""
    click.echo(
        f"{outcome.manifests} manifests and {outcome.blobs} blobs are here: "
        f"{outcome.received} bytes came, {outcome.here} were here before"
    )
    if outcome.failures:
        click.echo(f"{len(outcome.failures)} failures", err=True)
        sys.exit(1)
