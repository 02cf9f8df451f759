"""``flaskreg garbage-collect``: delete what nothing leads to."""

from __future__ import annotations

import click

from flaskreg.cli.storage import Bar
from flaskreg.cli.storage import configuration_argument
from flaskreg.cli.storage import format_size
from flaskreg.cli.storage import is_gone
from flaskreg.cli.storage import make_run_name
from flaskreg.cli.storage import open_storage
from flaskreg.cli.storage import to_seconds
from flaskreg.config import Settings
from flaskreg.upkeep.collection import Collection
from flaskreg.upkeep.collection import Options
from flaskreg.upkeep.plan import Totals
from flaskreg.upkeep.sweeprun import SweepBusy
from flaskreg.upkeep.sweeprun import SweepLost
from flaskreg.upkeep.sweeprun import SweepRun


@click.command("garbage-collect")
@configuration_argument
@click.option(
    "-d", "--dry-run", is_flag=True, help="Delete nothing; say what would be."
)
@click.option(
    "-m",
    "--delete-untagged",
    is_flag=True,
    help="Delete manifests that no tag leads to.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing on standard output.")
@click.option(
    "--grace",
    callback=to_seconds,
    default="1h",
    show_default=True,
    help="Leave what was pushed, mounted or asked for within this time.",
)
def garbage_collect(
    configuration: str | None,
    dry_run: bool,
    delete_untagged: bool,
    quiet: bool,
    grace: float,
) -> None:
    """Delete content that no manifest leads to, while the registry serves.

    Pulls and pushes go on. A push that is acknowledged never lacks what was deleted.
    A grace of 0s is for a registry to which nobody pushes, as with distribution.
    """
    with open_storage(configuration) as storage, Bar(quiet=quiet) as bar:
        collection = Collection(
            storage.driver,
            SweepRun(storage.driver, make_run_name(), is_gone),
            Options(
                dry_run=dry_run,
                untagged=delete_untagged,
                grace=grace,
                upload_age=_upload_age(storage.settings),
            ),
            say=(lambda _line: None) if quiet else click.echo,
            progress=bar.show,
        )
        try:
            totals = collection.collect()
        except (SweepBusy, SweepLost) as error:
            click.echo(f"flaskreg: {error}", err=True)
            raise SystemExit(1) from None
    if not quiet:
        for line in _summary(totals, dry_run=dry_run):
            click.echo(line)


def _upload_age(settings: Settings) -> float | None:
    purging = settings.storage.maintenance.uploadpurging
    return purging.age if purging.enabled and not purging.dryrun else None


def _summary(totals: Totals, *, dry_run: bool) -> list[str]:
    verb = "would free" if dry_run else "freed"
    lines = [
        f"{verb} {format_size(totals.size)}: {totals.blobs} blobs, "
        f"{totals.manifests} manifests, {totals.links} layer links, "
        f"{totals.uploads} uploads"
    ]
    if totals.spared:
        lines.append(f"{totals.spared} left, because they are in use or young again")
    if totals.failed:
        lines.append(f"{totals.failed} not deleted, because the storage refused")
    if totals.damaged:
        kinds = ", ".join(
            f"{count} {kind}" for kind, count in sorted(totals.damaged.items())
        )
        lines.append(f"skipped damage: {kinds}; see `flaskreg fsck`")
    return lines
