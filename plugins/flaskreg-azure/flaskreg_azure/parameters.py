"""The parameters of the driver, which are CNCF distribution's, read into one value."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from flaskreg.config import ConfigError
from flaskreg.config.durations import parse_duration


SECTION = "storage.azure"

REALM = "core.windows.net"

#: the kinds of credentials, as distribution names them.
TYPES = ("client_secret", "shared_key", "default_credentials")

_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}|\$root")
_DIRECTORY = re.compile(r"/*(?:[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)?/*")


@dataclass(frozen=True, slots=True)
class Credentials:
    """``credentials``: who asks, where that is not a key of the account."""

    type: str
    clientid: str = ""
    tenantid: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Parameters:
    """All parameters; what is not given is empty, or distribution's default."""

    accountname: str
    container: str
    accountkey: str = field(default="", repr=False)
    credentials: Credentials | None = None
    realm: str = REALM
    serviceurl: str = ""
    rootdirectory: str = ""
    max_retries: int = 5
    #: in seconds.
    retry_delay: float = 0.1
    skipverify: bool = False

    @property
    def service(self) -> str:
        """Return the URL of the account's blobs."""
        default = f"https://{self.accountname}.blob.{self.realm}"
        return (self.serviceurl or default).rstrip("/")


KEYS = (*Parameters.__dataclass_fields__, "connectionstring")


def read_parameters(given: Mapping[str, Any]) -> Parameters:
    """Return the parameters.

    :raises ConfigError: one is unknown, missing or wrong.
    """
    for key in given.keys() - set(KEYS):
        raise ConfigError.unknown(
            f"{SECTION}.{key}", [f"{SECTION}.{each}" for each in KEYS]
        )
    values = _connection(given) | {
        key: value for key, value in given.items() if value not in (None, "")
    }
    credentials = _credentials(values)
    accountkey = _text(values, "accountkey", "" if credentials else None)
    _check_key(accountkey)
    container = _text(values, "container")
    if not _CONTAINER.fullmatch(container):
        raise _wrong("container", container, "is no name of a container")
    directory = _text(values, "rootdirectory", "")
    if not _DIRECTORY.fullmatch(directory):
        raise _wrong("rootdirectory", directory, "must be names between slashes")
    return Parameters(
        accountname=_text(values, "accountname"),
        container=container,
        accountkey=accountkey,
        credentials=credentials,
        realm=_text(values, "realm", REALM),
        serviceurl=_url(values),
        rootdirectory=directory,
        max_retries=_retries(values),
        retry_delay=_delay(values),
        skipverify=_boolean(values, "skipverify"),
    )


def _connection(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a connection string says; what stands beside it goes first."""
    text = given.get("connectionstring")
    if not text:
        return {}
    try:
        pairs = dict(each.split("=", 1) for each in str(text).split(";") if each)
    except ValueError:
        raise ConfigError(
            f"{SECTION}.connectionstring: must be Name=Value;..."
        ) from None
    names = {
        "AccountName": "accountname",
        "AccountKey": "accountkey",
        "BlobEndpoint": "serviceurl",
    }
    found: dict[str, Any] = {names[it]: pairs[it] for it in names if it in pairs}
    if "EndpointSuffix" in pairs:
        found["realm"] = pairs["EndpointSuffix"]
    return found


def _credentials(values: Mapping[str, Any]) -> Credentials | None:
    given = values.get("credentials")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise ConfigError(f"{SECTION}.credentials: must be a map with a type")
    names = Credentials.__dataclass_fields__
    for key in given.keys() - names.keys():
        raise ConfigError.unknown(
            f"{SECTION}.credentials.{key}",
            [f"{SECTION}.credentials.{each}" for each in names],
        )
    kind = given.get("type")
    if kind not in TYPES:
        raise _wrong("credentials.type", kind, f"must be one of {', '.join(TYPES)}")
    if kind == "shared_key":
        return None
    for key in ("clientid", "tenantid", "secret") if kind == "client_secret" else ():
        if not isinstance(given.get(key), str) or not given[key]:
            raise ConfigError(f"{SECTION}.credentials.{key}: client_secret wants it")
    return Credentials(**{key: str(value or "") for key, value in given.items()})


def _check_key(key: str) -> None:
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{SECTION}.accountkey: must be base64") from None


def _text(values: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = values.get(key, default)
    if value is None:
        raise ConfigError(f"{SECTION}.{key}: must be set")
    if not isinstance(value, str) or not value.isprintable():
        raise ConfigError(f"{SECTION}.{key}: must be text")
    return value


def _url(values: Mapping[str, Any]) -> str:
    text = _text(values, "serviceurl", "")
    try:
        parts = urlsplit(text)
        good = not text or (parts.scheme in {"http", "https"} and bool(parts.hostname))
    except ValueError:
        good = False
    if not good or "?" in text or "#" in text:
        raise _wrong("serviceurl", text, "must be the URL of a blob service")
    return text


def _retries(values: Mapping[str, Any]) -> int:
    value = values.get("max_retries", 5)
    if isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 100:
        return value
    raise _wrong("max_retries", value, "must be a number, at most 100; -1: none")


def _delay(values: Mapping[str, Any]) -> float:
    value = values.get("retry_delay", "100ms")
    try:
        seconds = parse_duration(value)
    except (TypeError, ValueError, AttributeError):
        seconds = 0.0
    if 0 < seconds <= 60:
        return seconds
    raise _wrong("retry_delay", value, "must be a duration up to 1m, such as 100ms")


def _boolean(values: Mapping[str, Any], key: str) -> bool:
    value = values.get(key, False)
    if isinstance(value, bool):
        return value
    raise _wrong(key, value, "must be true or false")


def _wrong(key: str, value: object, sentence: str) -> ConfigError:
    return ConfigError.wrong(f"{SECTION}.{key}", value, sentence)
