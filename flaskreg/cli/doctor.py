"""``flaskreg doctor``."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click
from rich.console import Console

from flaskreg.doctor.client import DoctorClient
from flaskreg.doctor.examination import Examination


_COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red", "unknown": "dim"}


def _checked(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter("must be an http or https URL")
    return value


@click.command()
@click.argument("url", callback=_checked)
@click.option("--user", default="", help="Who logs in; the password is asked for.")
@click.option(
    "--password",
    envvar="FLASKREG_PASSWORD",
    default=None,
    help="Better given in the variable FLASKREG_PASSWORD.",
)
@click.option(
    "--repository",
    default="flaskreg/doctor",
    show_default=True,
    help="Where a blob is pushed, and deleted again where deletes are on.",
)
@click.option(
    "--size",
    type=click.IntRange(1, 4096),
    default=16,
    show_default=True,
    help="The size of that blob, in MiB.",
)
@click.option("--insecure", is_flag=True, help="Do not verify the certificate.")
def doctor(
    url: str,
    user: str,
    password: str | None,
    repository: str,
    size: int,
    *,
    insecure: bool,
) -> None:
    """Look at the registry at URL from outside, as clients see it.

    It finds what proxies and configurations get wrong, and says what to change. The
    status is 1 when anything is wrong.
    """
    if user and password is None:
        password = click.prompt("Password", hide_input=True)
    client = DoctorClient(url, user, password or "", verify=not insecure)
    console = Console(highlight=False, soft_wrap=True)
    wrong = False
    for finding in Examination(client, repository, size << 20).run():
        colour = _COLOURS[finding.state]
        state = f"[{colour}]{finding.state:8}[/{colour}]"
        console.print(f"{state} {finding.what}: ", end="")
        console.print(finding.sentence, markup=False)
        wrong = wrong or finding.state == "wrong"
    sys.exit(1 if wrong else 0)
