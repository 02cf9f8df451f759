"""The parameters of the driver, which are CNCF distribution's, read into one value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from google.oauth2.service_account import Credentials

from flaskreg.config import ConfigError


SECTION = "storage.gcs"

#: what a resumable upload takes is a multiple of this, but for the last piece.
UNIT = 256 << 10

SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_DIRECTORY = re.compile(r"/*(?:[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)?/*")
_LARGEST_KEY = 1 << 16


@dataclass(frozen=True, slots=True)
class Parameters:
    """All parameters; what is not given is empty, or distribution's default."""

    bucket: str
    rootdirectory: str = ""
    #: in bytes.
    chunksize: int = 16 << 20
    maxconcurrency: int = 50
    useragent: str = ""
    #: of a service account; ``None``: those of the environment.
    account: Credentials | None = field(default=None, repr=False)


KEYS = (
    "bucket",
    "rootdirectory",
    "keyfile",
    "credentials",
    "chunksize",
    "maxconcurrency",
    "useragent",
)


def read_parameters(given: Mapping[str, Any]) -> Parameters:
    """Return the parameters.

    :raises ConfigError: one is unknown, missing or wrong.
    """
    for key in given.keys() - set(KEYS):
        raise ConfigError.unknown(
            f"{SECTION}.{key}", [f"{SECTION}.{each}" for each in KEYS]
        )
    values = {key: value for key, value in given.items() if value not in (None, "")}
    bucket = _text(values, "bucket", _BUCKET, "must be the name of a bucket")
    chunksize = _number(values, "chunksize", 16 << 20)
    if chunksize < UNIT or chunksize % UNIT or chunksize > 1 << 30:
        raise _wrong(
            "chunksize", chunksize, f"must be a multiple of {UNIT}, up to 1 GiB"
        )
    directory = _text(
        values, "rootdirectory", _DIRECTORY, "must be names and slashes", ""
    )
    printable = re.compile(r"[ -~]*")
    return Parameters(
        bucket=bucket,
        rootdirectory=directory.strip("/"),
        chunksize=chunksize,
        maxconcurrency=max(_number(values, "maxconcurrency", 50), 25),
        useragent=_text(values, "useragent", printable, "must be text in ASCII", ""),
        account=_account(values),
    )


def _account(values: Mapping[str, Any]) -> Credentials | None:
    """Return the service account of a key file, or of the configuration itself."""
    key, document = "credentials", values.get("credentials")
    if "keyfile" in values:
        key = "keyfile"
        try:
            with open(str(values[key]), "rb") as stream:
                document = json.loads(stream.read(_LARGEST_KEY))
        except OSError as error:
            raise _wrong(
                key, values[key], f"cannot be read: {error.strerror}"
            ) from None
        except ValueError:
            raise _wrong(key, values[key], "is no JSON document") from None
    if document is None:
        return None
    if not isinstance(document, Mapping):
        raise ConfigError(f"{SECTION}.{key}: must be the map of a service account")
    try:
        made = Credentials.from_service_account_info(dict(document), scopes=[SCOPE])  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, KeyError) as error:
        missing = re.findall(r"\b(?:client_email|token_uri|private_key)\b", str(error))
        names = ", ".join(missing) or "its private_key"
        raise ConfigError(
            f"{SECTION}.{key}: is no service account, see {names}"
        ) from None
    account: Credentials = made
    return account


def _text(
    values: Mapping[str, Any],
    key: str,
    form: re.Pattern[str],
    sentence: str,
    default: str | None = None,
) -> str:
    value = values.get(key, default)
    if isinstance(value, str) and form.fullmatch(value):
        return value
    raise _wrong(key, value, sentence)


def _number(values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong(key, value, "must be a whole number")


def _wrong(key: str, value: object, sentence: str) -> ConfigError:
    return ConfigError.wrong(f"{SECTION}.{key}", value, sentence)
