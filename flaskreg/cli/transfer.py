"""``flaskreg import`` and ``flaskreg export``: images in, and images out."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from flaskreg.cli.storage import Bar
from flaskreg.cli.storage import configuration_argument
from flaskreg.cli.storage import format_size
from flaskreg.cli.storage import open_storage
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import RegistryError
from flaskreg.names import parse_name
from flaskreg.names import parse_tag
from flaskreg.services import Repository
from flaskreg.transfer.exporter import Exporter
from flaskreg.transfer.importer import Importer
from flaskreg.transfer.layout import LayoutWriter
from flaskreg.transfer.open import open_source
from flaskreg.transfer.source import SourceError


#: the environment variable with the password of another registry.
PASSWORD = "FLASKREG_SOURCE_PASSWORD"


@click.command("import")
@click.argument("source")
@configuration_argument
@click.option(
    "--repository",
    metavar="NAME",
    help="The repository that takes it; by default the names of the source.",
)
@click.option(
    "--user",
    default="",
    help=f"The user at another registry; the password is in {PASSWORD}.",
)
def import_(
    source: str, configuration: str | None, repository: str | None, user: str
) -> None:
    """Copy images from SOURCE into the registry, bytes and digests unchanged.

    SOURCE is a folder that distribution wrote (the one with docker/ in it), an OCI
    layout, an archive of docker save, or a URL of another registry, perhaps with a
    repository and a tag: https://registry.example/team/app:v1. What is there already is
    not copied again.
    """
    with open_storage(configuration) as storage, Bar() as bar:
        try:
            if repository is not None:
                parse_name(repository)
            opened = open_source(source, user, os.environ.get(PASSWORD, ""))
            importer = Importer(
                opened,
                storage.registry(),
                progress=bar.show,
                failed=partial(click.echo, err=True),
            )
            totals = importer.run(repository)
            opened.close()
        except (SourceError, RegistryError) as error:
            click.echo(f"flaskreg: {error}", err=True)
            raise SystemExit(1) from None
    click.echo(
        f"imported {totals.manifests} manifests, {totals.tags} tags, {totals.blobs} "
        f"blobs ({format_size(totals.size)}); {totals.skipped} blobs were there; "
        f"{len(totals.failed)} failed"
    )
    if totals.failed:
        raise SystemExit(1)


@click.command()
@click.argument("image", metavar="REPOSITORY[:TAG|@DIGEST]")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@configuration_argument
def export(image: str, directory: Path, configuration: str | None) -> None:
    """Copy images of a repository into an OCI layout in DIRECTORY.

    Without a tag or digest all tags go. What refers to an image goes with it. What the
    layout has already is not written again.
    """
    with open_storage(configuration) as storage, Bar() as bar:
        try:
            name, tag, digest = _parse_image(image)
            repository = storage.registry().repository(name)
            exporter = Exporter(repository, LayoutWriter(directory), bar.show)
            for each, found in _wanted(repository, tag, digest).items():
                exporter.export(found, "" if ":" in each else each)
        except (SourceError, RegistryError, OSError) as error:
            click.echo(f"flaskreg: {error}", err=True)
            raise SystemExit(1) from None
    click.echo(f"exported {exporter.blobs} blobs ({format_size(exporter.size)})")


def _parse_image(text: str) -> tuple[str, str, Digest | None]:
    """Return name, tag and digest; ``""`` and ``None`` for what is not said."""
    name, _, digest = text.partition("@")
    name, _, tag = name.partition(":")
    return (
        parse_name(name),
        parse_tag(tag) if tag else "",
        parse_digest(digest) if digest else None,
    )


def _wanted(
    repository: Repository, tag: str, digest: Digest | None
) -> dict[str, Digest]:
    if digest is not None:
        return {tag or str(digest): digest}
    if tag:
        return {tag: repository.tags.get(tag)}
    return {each: repository.tags.get(each) for each in repository.tags.list()}
