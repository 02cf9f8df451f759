"""Images as people write them: ``UPSTREAM/REPOSITORY[:TAG|@DIGEST]``."""

from __future__ import annotations

from collections.abc import Callable

from flaskreg.config import ConfigError
from flaskreg.errors import RegistryError
from flaskreg.names import parse_name
from flaskreg.names import parse_reference


#: returns the repository here that a name means, as :meth:`Registry.locate` does.
Locate = Callable[[str, str | None, str], str]


def parse_image(locate: Locate, image: str) -> tuple[str, str | None]:
    """Return the name here of an image, and its tag or digest, if it has one.

    :raises ConfigError: it is no image.
    """
    name, at, text = image.partition("@")
    if not at and ":" in name.rpartition("/")[2]:
        name, _, text = name.rpartition(":")
    try:
        located = locate(parse_name(name), None, "")
        return located, parse_reference(text) if text else None
    except RegistryError as error:
        raise ConfigError(f"{image}: {error}") from None


def not_cached(image: str) -> ConfigError:
    """Return the error for an image of no upstream."""
    return ConfigError(
        f"{image}: not below the prefix of one of proxy.upstreams, so not cached"
    )
