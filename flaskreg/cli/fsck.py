"""``flaskreg fsck``: find what is damaged while the registry serves, and heal it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import BinaryIO

import click

from flaskreg.cli.storage import Bar
from flaskreg.cli.storage import Storage
from flaskreg.cli.storage import configuration_argument
from flaskreg.cli.storage import is_gone
from flaskreg.cli.storage import make_run_name
from flaskreg.cli.storage import open_storage
from flaskreg.digest import Digest
from flaskreg.plugins import collect
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.revisions import ManifestReader
from flaskreg.transfer.open import open_source
from flaskreg.transfer.source import SourceError
from flaskreg.upkeep.elsewhere import Elsewhere
from flaskreg.upkeep.elsewhere import Offer
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
@click.option(
    "--from",
    "origin",
    metavar="SOURCE",
    help="Where a repair may take content from; as SOURCE of `flaskreg import`.",
)
def fsck(
    configuration: str | None,
    deep: bool,
    repair: bool,
    rate: float,
    origin: str | None,
) -> None:
    """Check the storage while the registry serves.

    Each thing that is wrong is one line. The status is 1 when damage is left, and 0
    when there is none, or garbage only.
    """
    with ExitStack() as stack:
        storage = stack.enter_context(open_storage(configuration))
        offers = [stack.enter_context(_offer(origin))] if origin else []
        bar = stack.enter_context(Bar())
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
        elsewhere = Elsewhere(storage.driver, offers, pace)
        result = _repaired(storage, check, reader, elsewhere) if repair else check.run()
    click.echo(_summary(result))
    if result.damaged:
        raise SystemExit(1)


@contextmanager
def _offer(origin: str) -> Iterator[Offer]:
    """Give what opens content of a source, a blob or a manifest."""
    try:
        source = open_source(origin)
    except SourceError as error:
        click.echo(f"flaskreg: {error}", err=True)
        raise SystemExit(1) from None

    def offer(repository: str, digest: Digest) -> BinaryIO | None:
        with suppress(SourceError):
            return source.open_blob(repository, digest)
        with suppress(SourceError):
            return BytesIO(source.get_manifest(repository, digest)[0])
        return None

    with closing(source):
        yield offer


def _repaired(
    storage: Storage, check: Check, reader: ManifestReader, elsewhere: Elsewhere
) -> Result:
    run = SweepRun(storage.driver, make_run_name(), is_gone)
    try:
        run.begin()
    except SweepBusy as error:
        click.echo(f"flaskreg: {error}", err=True)
        raise SystemExit(1) from None
    with ExitStack() as stack:
        stack.callback(run.end)
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
