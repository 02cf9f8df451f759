"""``flaskreg multiparts``: the uploads that nobody will finish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import click

from flaskreg.config import ConfigError
from flaskreg.config import load_settings
from flaskreg.config.durations import parse_duration
from flaskreg.driver import DriverError
from flaskreg_s3.build import make_s3
from flaskreg_s3.documents import Upload
from flaskreg_s3.driver import S3Driver


NAMES = ("s3", "s3aws")


@click.command()
@click.argument("file", required=False)
@click.option(
    "--older",
    default="168h",
    show_default=True,
    help="How long ago an upload was begun, as in 24h.",
)
@click.option("--abort", is_flag=True, help="Abort them instead of listing them.")
def multiparts(file: str | None, older: str, abort: bool) -> None:
    """List, or abort, multipart uploads that were begun long ago.

    S3 keeps the parts of an upload that nobody finishes, and they are paid for. A push
    in its first hours is one of them: leave it the time it needs.
    """
    try:
        age = timedelta(seconds=parse_duration(older))
        with closing(_driver(file)) as driver:
            for upload in old_uploads(driver, datetime.now(UTC) - age):
                click.echo(f"{upload.initiated} /{upload.key}")
                if abort:
                    driver.bucket.abort(upload.key, upload.id)
    except (ConfigError, DriverError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def old_uploads(driver: S3Driver, before: datetime) -> Iterator[Upload]:
    """Yield the uploads of a driver's place that were begun before a time."""
    # All are read before any is aborted: a listing is not to change below itself.
    for upload in list(driver.bucket.iter_uploads(driver.prefix)):
        if upload.initiated is not None and upload.initiated < before:
            yield upload


def _driver(file: str | None) -> S3Driver:
    storage = load_settings(file).storage
    if storage.driver not in NAMES:
        raise ConfigError(
            f"storage: {storage.driver} keeps nothing in S3; {' or '.join(NAMES)} does"
        )
    return make_s3(f"storage.{storage.driver}", storage.parameters)
