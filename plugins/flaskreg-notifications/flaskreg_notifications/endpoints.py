"""The endpoints of the configuration, checked and ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.events import Event


#: the driver whose root directory holds the outbox where no folder is configured.
FILESYSTEM = "filesystem"
DEFAULT_ROOT = "/var/lib/registry"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is told, and how.

    Times are in seconds.
    """

    name: str
    url: str
    headers: Mapping[str, str]
    timeout: float
    threshold: int
    backoff: float
    #: media types of targets, and actions, that are not told.
    media_types: frozenset[str]
    actions: frozenset[str]
    #: ``distribution`` or ``cloudevents``.
    format: str
    #: the key of signatures; ``b""`` for none.
    secret: bytes

    def wants(self, event: Event) -> bool:
        """Whether the endpoint is told of an event."""
        kind = event.target.media_type if event.target is not None else ""
        return event.action not in self.actions and kind not in self.media_types


def make_endpoints(settings: Settings) -> list[Endpoint]:
    """Return the endpoints that are not disabled.

    :raises ConfigError: one has no URL that can be posted to, or two have one name.
    """
    found: dict[str, Endpoint] = {}
    for at, section in enumerate(settings.notifications.endpoints):
        if section.disabled:
            continue
        key, parts = f"notifications.endpoints[{at}]", urlsplit(section.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{key}.url: must be an http or https URL")
        name = section.name or parts.hostname
        if name in found:
            raise ConfigError(f"{key}.name: {name} is the name of two endpoints")
        secret = section.secret.get_secret_value() if section.secret else ""
        found[name] = Endpoint(
            name=name,
            url=section.url,
            headers={key: ", ".join(it) for key, it in section.headers.items()},
            timeout=section.timeout,
            threshold=section.threshold,
            backoff=section.backoff,
            media_types=frozenset(
                [*section.ignoredmediatypes, *section.ignore.mediatypes]
            ),
            actions=frozenset(section.ignore.actions),
            format=section.format,
            secret=secret.encode(),
        )
    return list(found.values())


def outbox_folder(settings: Settings) -> Path:
    """Return the folder of the outbox.

    :raises ConfigError: none is configured, and the storage is no local directory.
    """
    path = settings.notifications.outbox.path
    if path:
        return Path(path)
    storage = settings.storage
    if storage.driver != FILESYSTEM:
        raise ConfigError(
            f"notifications.outbox.path: is required with storage {storage.driver}: "
            f"events wait in a folder on a local disk"
        )
    root = str(storage.parameters.get("rootdirectory") or DEFAULT_ROOT)
    return Path(root) / "flaskreg" / "outbox"
