"""Signatures of requests and URLs: version 4, and version 2 for old servers.

Source: "Authenticating Requests (AWS Signature Version 4)" and "Signing and
Authenticating REST Requests" of the Amazon S3 documentation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote


UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_ALGORITHM = "AWS4-HMAC-SHA256"
#: query parameters that name another resource than the object itself.
_SUBRESOURCES = frozenset({"delete", "partNumber", "uploadId", "uploads"})


class Keys(NamedTuple):
    """What requests are signed with."""

    access: str
    secret: str
    #: of temporary credentials; ``None`` for lasting ones.
    token: str | None = None


#: returns the keys that are good now; it may fetch new ones.
KeySource = Callable[[], Keys]


def encode(text: str, safe: str = "") -> str:
    """Return text as it stands in a URL that is signed."""
    return quote(text, safe=f"-_.~{safe}")


def encode_query(query: Mapping[str, str]) -> str:
    """Return a query in the order in which it is signed."""
    pairs = sorted((encode(name), encode(value)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


class Signer(ABC):
    """Signs what is sent to one host.

    :param keys: asked for each request.
    :param signs_payload: whether bodies are part of the signature, as they must be
        where nothing else keeps them whole on their way.
    """

    signs_payload: bool = False

    def __init__(self, keys: KeySource) -> None:
        self.keys = keys

    @abstractmethod
    def sign(
        self,
        method: str,
        host: str,
        path: str,
        query: str,
        headers: dict[str, str],
        payload: str,
    ) -> None:
        """Add to *headers* what makes the request one of ours.

        :param path: encoded, as it is sent.
        :param query: encoded and in order.
        :param headers: by name in lower case.
        :param payload: the SHA-256 of the body in hex, or :data:`UNSIGNED`.
        """

    @abstractmethod
    def presign(self, method: str, host: str, path: str, seconds: int) -> str:
        """Return the query with which anybody may do *method* for so many seconds."""


class Version4(Signer):
    """Signature version 4.

    :param region: for which requests are signed.
    """

    def __init__(self, keys: KeySource, region: str, *, signs_payload: bool) -> None:
        super().__init__(keys)
        self.signs_payload = signs_payload
        self._region = region
        self._derived: tuple[str, str, bytes] = ("", "", b"")

    def sign(
        self,
        method: str,
        host: str,
        path: str,
        query: str,
        headers: dict[str, str],
        payload: str,
    ) -> None:
        """Sign the host and every header whose name begins with ``x-amz-``."""
        keys = self.keys()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers["x-amz-date"] = now
        headers["x-amz-content-sha256"] = payload
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        signed = {name: headers[name] for name in headers if name.startswith("x-amz-")}
        signed["host"] = host
        names = sorted(signed)
        joined = ";".join(names)
        lines = "".join(f"{name}:{signed[name].strip()}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{joined}\n{payload}"
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={joined}, "
            f"Signature={self._signature(keys, now, scope, canonical)}"
        )

    def presign(self, method: str, host: str, path: str, seconds: int) -> str:
        """Return a signed query; only the host is signed with it."""
        keys = self.keys()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        query = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{keys.access}/{scope}",
            "X-Amz-Date": now,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        if keys.token:
            query["X-Amz-Security-Token"] = keys.token
        text = encode_query(query)
        canonical = f"{method}\n{path}\n{text}\nhost:{host}\n\nhost\n{UNSIGNED}"
        return f"{text}&X-Amz-Signature={self._signature(keys, now, scope, canonical)}"

    def _signature(self, keys: Keys, now: str, scope: str, canonical: str) -> str:
        known = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{now}\n{scope}\n{known}"
        return hmac.digest(
            self._signing_key(keys.secret, now[:8]), text.encode(), "sha256"
        ).hex()

    def _signing_key(self, secret: str, day: str) -> bytes:
        derived = self._derived
        if derived[:2] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            derived = self._derived = (secret, day, key)
        return derived[2]


class Version2(Signer):
    """Signature version 2, which Amazon no longer takes and some old servers want.

    :param resource: gives the signed resource for a path: it has the bucket's name in
        it also where that stands in the host.
    """

    def __init__(self, keys: KeySource, resource: Callable[[str], str]) -> None:
        super().__init__(keys)
        self._resource = resource

    def sign(
        self,
        method: str,
        host: str,
        path: str,
        query: str,
        headers: dict[str, str],
        payload: str,
    ) -> None:
        """Sign the date, the type, the resource and the ``x-amz-`` headers."""
        del host, payload
        keys = self.keys()
        headers["date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        amz = "".join(
            f"{name}:{headers[name].strip()}\n"
            for name in sorted(headers)
            if name.startswith("x-amz-")
        )
        kept = [
            pair.removesuffix("=")
            for pair in query.split("&")
            if pair.partition("=")[0] in _SUBRESOURCES
        ]
        resource = self._resource(path) + ("?" + "&".join(kept) if kept else "")
        text = (
            f"{method}\n{headers.get('content-md5', '')}\n"
            f"{headers.get('content-type', '')}\n{headers['date']}\n{amz}{resource}"
        )
        headers["authorization"] = f"AWS {keys.access}:{_hmac_sha1(keys.secret, text)}"

    def presign(self, method: str, host: str, path: str, seconds: int) -> str:
        """Return a signed query with the second at which it ends."""
        del host
        keys = self.keys()
        expires = int(time.time()) + seconds
        token = f"x-amz-security-token:{keys.token}\n" if keys.token else ""
        text = f"{method}\n\n\n{expires}\n{token}{self._resource(path)}"
        query = {
            "AWSAccessKeyId": keys.access,
            "Expires": str(expires),
            "Signature": _hmac_sha1(keys.secret, text),
        }
        if keys.token:
            query["x-amz-security-token"] = keys.token
        return encode_query(query)


def _hmac_sha1(secret: str, text: str) -> str:
    mac = hmac.digest(secret.encode(), text.encode(), "sha1")
    return base64.b64encode(mac).decode("ascii")
