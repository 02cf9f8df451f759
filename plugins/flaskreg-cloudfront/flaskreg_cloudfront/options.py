"""The options of an entry ``cloudfront``, which are distribution's."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flaskreg.config import ConfigError
from flaskreg.config.durations import parse_duration
from flaskreg.driver import StorageDriver
from flaskreg_cloudfront.driver import CloudFrontDriver
from flaskreg_cloudfront.ranges import AwsRanges
from flaskreg_cloudfront.signer import Signer
from flaskreg_cloudfront.signer import load_key


#: every option; ``updatefrenquency`` is how distribution once spelt the other one.
KEYS = (
    "baseurl",
    "privatekey",
    "keypairid",
    "duration",
    "ipfilteredby",
    "awsregion",
    "updatefrequency",
    "updatefrenquency",
    "iprangesurl",
)

IP_RANGES = "https://ip-ranges.amazonaws.com/ip-ranges.json"

_PLACE = "middleware.storage[cloudfront].options"
_KEY_PAIR = re.compile(r"[A-Za-z0-9_-]+")

_log = logging.getLogger("flaskreg")


def wrap_cloudfront(driver: StorageDriver, options: Mapping[str, Any]) -> StorageDriver:
    """Wrap a driver as ``options`` say.

    :raises ConfigError: an option is unknown, missing or wrong.
    """
    for key in options.keys() - set(KEYS):
        known = [f"{_PLACE}.{each}" for each in KEYS]
        raise ConfigError.unknown(f"{_PLACE}.{key}", known)
    base, ranges = _base(options), _ranges(options)
    duration = _seconds(options, "duration", 20 * 60.0)
    signer = _signer(options)
    if driver.object_key("/probe") is None:
        _log.warning(
            "%s: the storage driver %s has no bucket, so CloudFront is not used",
            _PLACE,
            driver.name,
        )
    return CloudFrontDriver(
        driver, base=base, signer=signer, duration=duration, ranges=ranges
    )


def _base(options: Mapping[str, Any]) -> str:
    text = _text(options, "baseurl")
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.scheme not in {"http", "https"} or re.search(r"[?#\s]", text):
        raise _wrong(options, "baseurl", "must be the URL of a distribution")
    return text.rstrip("/") + "/"


def _signer(options: Mapping[str, Any]) -> Signer:
    path, name = _text(options, "privatekey"), _text(options, "keypairid")
    if not _KEY_PAIR.fullmatch(name):
        raise _wrong(options, "keypairid", "must be the id of a key pair")
    try:
        return Signer(load_key(path), name)
    except ValueError as error:
        raise _wrong(options, "privatekey", str(error)) from None


def _ranges(options: Mapping[str, Any]) -> AwsRanges | None:
    by = str(options.get("ipfilteredby") or "none").lower()
    if by not in {"none", "aws", "awsregion"}:
        raise _wrong(options, "ipfilteredby", "must be none, aws or awsregion")
    listed = str(options.get("awsregion") or "").lower().split(",")
    regions = [region.strip() for region in listed if region.strip()]
    if by == "awsregion" and not regions:
        raise _wrong(options, "awsregion", "must list regions, as us-east-1,eu-west-1")
    old = _seconds(options, "updatefrenquency", 12 * 3600.0)
    interval = _seconds(options, "updatefrequency", old)
    url = _text(options, "iprangesurl", IP_RANGES)
    if urlsplit(url).scheme not in {"http", "https"}:
        raise _wrong(options, "iprangesurl", "must be a URL of http or https")
    if by == "none":
        return None
    return AwsRanges(url, regions if by == "awsregion" else (), interval)


def _text(options: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = options.get(key, default)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _wrong(options, key, "must be text")
    return value


def _seconds(options: Mapping[str, Any], key: str, default: float) -> float:
    """Return a duration, which is text such as 20m or a count of nanoseconds."""
    value = options.get(key)
    if value is None:
        return default
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            seconds = value / 1e9
        else:
            seconds = parse_duration(value)
    except (TypeError, ValueError, AttributeError):
        raise _wrong(options, key, "must be a duration, such as 20m") from None
    if seconds <= 0:
        raise _wrong(options, key, "must be more than nothing")
    return seconds


def _wrong(options: Mapping[str, Any], key: str, sentence: str) -> ConfigError:
    return ConfigError.wrong(f"{_PLACE}.{key}", options.get(key), sentence)
