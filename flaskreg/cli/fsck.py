"""``flaskreg fsck``: find what is damaged while the registry serves, and heal it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import click

from flaskreg.cli.storage import Bar
from flaskreg.cli.storage import Storage
from flaskreg.cli.storage import configuration_argument
from flaskreg.cli.storage import is_gone
from flaskreg.cli.storage import make_run_name
from flaskreg.cli.storage import open_storage
from flaskreg.plugins import collect
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.revisions import ManifestReader
from flaskreg.upkeep.elsewhere import Elsewhere
from flaskreg.upkeep.findings import Finding
from flaskreg.upkeep.fsck import Check
from flaskreg.upkeep.fsck import Result
from flaskreg.upkeep.repairs import Repairs
from flaskreg.upkeep.storecheck import Pace
from flaskreg.upkeep.storecheck import StoreCheck
from flaskreg.upkeep.sweeprun import SweepBusy
from flaskreg.upkeep.sweeprun import SweepRun


@click.command()
@configuration_argument
@click.option("--deep", is_flag=True, help="Read all content and digest it.")
@click.option("--repair", is_flag=True, help="Put right what can be.")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=50.0,
    show_default=True,
    help="The most MiB of content to read in a second; 0 for no limit.",
)
def fsck(configuration: str | None, deep: bool, repair: bool, rate: float) -> None:
    """Check the storage while the registry serves.

    Each thing that is wrong is one line. The status is 1 when damage is left, and 0
    when there is none, or garbage only.
    """
    with open_storage(configuration) as storage, Bar() as bar:
        pace = Pace(rate * (1 << 20))
        reader = ManifestReader(
            BlobContents(storage.driver),
            collect(storage.manager, "flaskreg_register_manifest_types"),
        )
        check = Check(
            storage.driver,
            reader,
            StoreCheck(
                storage.driver,
                pace,
                deep=deep,
                progress=partial(bar.show, "checking content"),
            ),
            found=_tell,
            progress=partial(bar.show, "checking repositories"),
        )
        result = _repaired(storage, check, reader, pace) if repair else check.run()
    click.echo(_summary(result))
    if result.damaged:
        raise SystemExit(1)


def _repaired(
    storage: Storage, check: Check, reader: ManifestReader, pace: Pace
) -> Result:
    run = SweepRun(storage.driver, make_run_name(), is_gone)
    try:
        run.begin()
    except SweepBusy as error:
        click.echo(f"flaskreg: {error}", err=True)
        raise SystemExit(1) from None
    with ExitStack() as stack:
        stack.callback(run.end)
        elsewhere = Elsewhere(storage.driver, [], pace)
        return check.run(Repairs(storage.driver, run, elsewhere, reader))


def _tell(finding: Finding, healed: bool) -> None:
    click.echo(f"{finding} (healed)" if healed else str(finding))


def _summary(result: Result) -> str:
    damage = sum(finding.damage for finding in result.left)
    garbage = len(result.left) - damage
    return (
        f"{result.repositories} repositories: {damage} damaged, {garbage} garbage, "
        f"{len(result.healed)} healed"
    )
