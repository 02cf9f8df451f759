"""Makes the driver from its section of the configuration; nothing is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flaskreg import __version__ as flaskreg_version
from flaskreg_s3.bucket import Bucket
from flaskreg_s3.bucket import written_headers
from flaskreg_s3.credentials import make_keys
from flaskreg_s3.driver import S3Driver
from flaskreg_s3.endpoint import Endpoint
from flaskreg_s3.endpoint import make_endpoint
from flaskreg_s3.parameters import Parameters
from flaskreg_s3.parameters import read_parameters
from flaskreg_s3.requests import Requests
from flaskreg_s3.signing import Signer
from flaskreg_s3.signing import Version2
from flaskreg_s3.signing import Version4
from flaskreg_s3.wire import Pool
from flaskreg_s3.wire import make_context


def make_s3(section: str, parameters: Mapping[str, Any]) -> S3Driver:
    """Make the driver from its section of the configuration.

    :param section: its dotted name, for errors.
    :raises ConfigError: a parameter is unknown, missing or wrong.
    """
    read = read_parameters(section, parameters)
    endpoint = make_endpoint(section, read)
    host, port = endpoint.address
    context = make_context(verify=not read.skipverify) if endpoint.secure else None
    requests = Requests(
        endpoint,
        _make_signer(endpoint, read),
        Pool(host, port, secure=endpoint.secure, context=context),
        user_agent=f"flaskreg/{flaskreg_version} {read.useragent}".strip(),
        logs=read.loglevel != "off",
    )
    bucket = Bucket(read.bucket, requests, written_headers(read))
    return S3Driver(bucket, read, _redirects(endpoint, read))


def _make_signer(endpoint: Endpoint, parameters: Parameters) -> Signer:
    keys = make_keys(parameters)
    if parameters.v4auth:
        # TLS keeps a body whole; without it the signature has to.
        return Version4(keys, endpoint.region, signs_payload=not endpoint.secure)
    in_host = endpoint.prefix == "/"
    return Version2(
        keys, lambda path: f"/{parameters.bucket}{path}" if in_host else path
    )


def _redirects(endpoint: Endpoint, parameters: Parameters) -> tuple[str, str]:
    if parameters.redirectendpoint:
        parts = urlsplit(parameters.redirectendpoint)
        return parts.scheme, parts.netloc
    return ("https" if endpoint.secure else "http"), endpoint.host
