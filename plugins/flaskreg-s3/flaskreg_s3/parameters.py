"""The parameters of the driver, which are CNCF distribution's, read into one value."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flaskreg.config import ConfigError


MEBIBYTE = 1 << 20

#: what S3 allows for a part that is not the last one, and for any, in bytes.
SMALLEST_PART = 5 * MEBIBYTE
LARGEST_PART = 5 << 30

STORAGE_CLASSES = (
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
)
OBJECT_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
LOG_LEVELS = (
    "off",
    "debug",
    "debugwithsigning",
    "debugwithhttpbody",
    "debugwithrequestretries",
    "debugwithrequesterrors",
    "debugwitheventstreambody",
)
NAMES = (
    "accelerate",
    "accesskey",
    "bucket",
    "chunksize",
    "encrypt",
    "forcepathstyle",
    "keyid",
    "loglevel",
    "multipartcopychunksize",
    "multipartcopymaxconcurrency",
    "multipartcopythresholdsize",
    "objectacl",
    "redirectendpoint",
    "region",
    "regionendpoint",
    "rootdirectory",
    "secretkey",
    "secure",
    "sessiontoken",
    "skipverify",
    "storageclass",
    "usedualstack",
    "usefipsendpoint",
    "useragent",
    "v4auth",
)

_TRUE = frozenset({"1", "t", "true"})
_FALSE = frozenset({"0", "f", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Where the bucket is, and how objects are kept in it."""

    bucket: str
    region: str
    regionendpoint: str
    redirectendpoint: str
    rootdirectory: str
    accesskey: str
    secretkey: str
    sessiontoken: str
    forcepathstyle: bool
    secure: bool
    skipverify: bool
    v4auth: bool
    usedualstack: bool
    accelerate: bool
    usefipsendpoint: bool
    encrypt: bool
    keyid: str
    #: ``None`` sends no storage class.
    storageclass: str | None
    objectacl: str
    useragent: str
    loglevel: str
    #: in bytes, as the next two.
    chunksize: int
    multipartcopychunksize: int
    multipartcopythresholdsize: int
    multipartcopymaxconcurrency: int


class _Reader:
    """Takes parameters of a section one after the other.

    :param section: its dotted name, for errors.
    :param given: what the configuration has.
    """

    def __init__(self, section: str, given: Mapping[str, Any]) -> None:
        self._section = section
        self._given = given

    def wrong(self, name: str, sentence: str) -> ConfigError:
        """Return the error for a value; secrets are not shown in it."""
        value = self._given.get(name)
        if name in ("secretkey", "sessiontoken"):
            value = "..."
        return ConfigError.wrong(f"{self._section}.{name}", value, sentence)

    def text(self, name: str) -> str:
        """Return a text, empty where there is none."""
        value = self._given.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.wrong(name, "must be a text")
        if any(ord(letter) < 32 for letter in str(value)):
            raise self.wrong(name, "must be one line")
        return str(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return a boolean, which may be written as a text."""
        value = self._given.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            return value.lower() in _TRUE
        raise self.wrong(name, "must be true or false")

    def number(self, name: str, default: int, least: int, most: int | None) -> int:
        """Return a whole number within bounds."""
        value = self._given.get(name, default)
        try:
            number = int(value) if not isinstance(value, bool | float) else None
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise self.wrong(name, "must be a whole number")
        if number < least or (most is not None and number > most):
            bounds = f"at least {least}" + (f" and at most {most}" * (most is not None))
            raise self.wrong(name, f"must be {bounds}")
        return number

    def choice(
        self, name: str, default: str, offered: Sequence[str], *, upper: bool = False
    ) -> str:
        """Return one of the words that are offered."""
        value = self._given.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            word = value.upper() if upper else value
            if word in offered:
                return word
        raise self.wrong(name, f"must be one of {', '.join(offered)}")


def read_parameters(section: str, given: Mapping[str, Any]) -> Parameters:
    """Return the parameters of a section.

    :param section: its dotted name, such as ``storage.s3``.
    :raises ConfigError: one is unknown, missing, or has a wrong value.
    """
    for key in given.keys() - set(NAMES):
        known = [f"{section}.{name}" for name in NAMES]
        raise ConfigError.unknown(f"{section}.{key}", known)
    reader = _Reader(section, given)
    _check_names(reader)
    loglevel = given.get("loglevel")
    return Parameters(
        bucket=reader.text("bucket"),
        region=reader.text("region"),
        regionendpoint=reader.text("regionendpoint"),
        redirectendpoint=_redirect_endpoint(reader),
        rootdirectory=reader.text("rootdirectory"),
        accesskey=reader.text("accesskey"),
        secretkey=reader.text("secretkey"),
        sessiontoken=reader.text("sessiontoken"),
        forcepathstyle=reader.flag("forcepathstyle", default=False),
        secure=reader.flag("secure", default=True),
        skipverify=reader.flag("skipverify", default=False),
        v4auth=reader.flag("v4auth", default=True),
        usedualstack=reader.flag("usedualstack", default=False),
        accelerate=reader.flag("accelerate", default=False),
        usefipsendpoint=reader.flag("usefipsendpoint", default=False),
        encrypt=reader.flag("encrypt", default=False),
        keyid=reader.text("keyid"),
        storageclass=_storage_class(reader),
        objectacl=reader.choice("objectacl", "private", OBJECT_ACLS),
        useragent=reader.text("useragent"),
        # YAML reads "off" as false.
        loglevel="off"
        if loglevel is False
        else reader.choice("loglevel", "off", LOG_LEVELS),
        **_sizes(reader),
    )


def _check_names(reader: _Reader) -> None:
    if not reader.text("bucket"):
        raise reader.wrong("bucket", "must name a bucket")
    endpoint = reader.text("regionendpoint")
    if not endpoint and not reader.text("region"):
        raise reader.wrong("region", "must name a region without a regionendpoint")
    if not reader.flag("v4auth", default=True) and (
        not endpoint or "amazonaws.com" in endpoint
    ):
        raise reader.wrong("v4auth", "must be true on Amazon S3")
    if bool(reader.text("accesskey")) != bool(reader.text("secretkey")):
        raise reader.wrong("accesskey", "must be given together with the secretkey")


def _sizes(reader: _Reader) -> dict[str, int]:
    least, most = SMALLEST_PART, LARGEST_PART
    return {
        "chunksize": reader.number("chunksize", 10 * MEBIBYTE, least, most),
        "multipartcopychunksize": reader.number(
            "multipartcopychunksize", 32 * MEBIBYTE, least, most
        ),
        "multipartcopythresholdsize": reader.number(
            "multipartcopythresholdsize", 32 * MEBIBYTE, 0, most
        ),
        "multipartcopymaxconcurrency": reader.number(
            "multipartcopymaxconcurrency", 100, 1, None
        ),
    }


def _storage_class(reader: _Reader) -> str | None:
    word = reader.choice("storageclass", "STANDARD", STORAGE_CLASSES, upper=True)
    return None if word == "NONE" else word


def _redirect_endpoint(reader: _Reader) -> str:
    text = reader.text("redirectendpoint")
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise reader.wrong("redirectendpoint", "must be a scheme and a host")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise reader.wrong("redirectendpoint", "must have no path and no query")
    return f"{parts.scheme}://{parts.netloc}"
