"""Where a bucket answers: scheme, host and port, and how its objects are addressed."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import botocore.session

from flaskreg.config import ConfigError
from flaskreg_s3.parameters import Parameters


#: of a bucket whose name can be a part of a host's name.
_HOST_LABELS = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go."""

    secure: bool
    #: as it stands in the header ``Host``, with the port where that is not the usual.
    host: str
    #: what stands before a key, the bucket in it where it is not in the host.
    prefix: str
    #: for which requests are signed.
    region: str

    @property
    def address(self) -> tuple[str, int]:
        """Return the host's name and the port to connect to."""
        parts = urlsplit(f"//{self.host}")
        return parts.hostname or "", parts.port or (443 if self.secure else 80)


def make_endpoint(section: str, parameters: Parameters) -> Endpoint:
    """Return where the bucket answers; nothing is asked for it.

    :raises ConfigError: the region is none of Amazon's, or the endpoint is no host.
    """
    if parameters.regionendpoint:
        secure, host = _given(section, parameters)
        # Anything else than a region is no use to a server that is not Amazon's.
        region = parameters.region or "us-east-1"
    else:
        secure, host = parameters.secure, _of_amazon(section, parameters)
        region = parameters.region
    if _in_path(parameters, host, secure=secure):
        return Endpoint(secure, host, f"/{parameters.bucket}/", region)
    return Endpoint(secure, f"{parameters.bucket}.{host}", "/", region)


def _given(section: str, parameters: Parameters) -> tuple[bool, str]:
    text = parameters.regionendpoint
    if "://" not in text:
        text = f"{'https' if parameters.secure else 'http'}://{text}"
    parts = urlsplit(text)
    try:
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise ConfigError.wrong(
            f"{section}.regionendpoint",
            parameters.regionendpoint,
            "must be a host, with a scheme and a port if need be",
        )
    return parts.scheme == "https", parts.netloc


def _in_path(parameters: Parameters, host: str, *, secure: bool) -> bool:
    bucket = parameters.bucket
    if parameters.forcepathstyle or not _HOST_LABELS.fullmatch(bucket):
        return True
    if secure and "." in bucket:
        # No certificate for *.host is good for two labels.
        return True
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


def _of_amazon(section: str, parameters: Parameters) -> str:
    suffix = _suffixes().get(parameters.region)
    if suffix is None:
        raise ConfigError.wrong(
            f"{section}.region", parameters.region, "must be a region of Amazon's"
        )
    dual = ".dualstack" * parameters.usedualstack
    if parameters.accelerate:
        return f"s3-accelerate{dual}.{suffix}"
    fips = "-fips" * parameters.usefipsendpoint
    return f"s3{fips}{dual}.{parameters.region}.{suffix}"


@cache
def _suffixes() -> dict[str, str]:
    """Return the end of hosts' names by region, as botocore's own files say."""
    data = botocore.session.Session().get_data("endpoints")
    return {
        region: partition["dnsSuffix"]
        for partition in data["partitions"]
        for region in partition["regions"]
    }
