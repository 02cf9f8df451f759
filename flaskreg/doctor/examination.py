"""What is looked at, and what is said about it.

Each step finds one thing that proxies and configurations get wrong, as people report
them: the scheme of ``Location``, limits of bodies, buffering, lost credentials, ranges,
clocks and certificates.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote
from urllib.parse import urlsplit

from flaskreg.doctor.client import DoctorClient
from flaskreg.doctor.client import Reply


#: how far the two clocks may be apart, in seconds.
CLOCK = 60.0

#: how long a certificate should hold at least, in days.
DAYS = 14

#: how long bytes may take through a proxy that does not keep them back, in seconds.
ARRIVAL = 5.0

WELL, WARNING, WRONG, UNKNOWN = "ok", "warning", "wrong", "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: ``ok``, ``warning``, ``wrong`` or ``unknown``."""

    state: str
    what: str
    sentence: str


class Examination:
    """Looks at a registry, from its front door to a blob and back.

    :param client: of the registry.
    :param repository: where a blob is pushed.
    :param size: of that blob, in bytes.
    """

    def __init__(self, client: DoctorClient, repository: str, size: int) -> None:
        self._client = client
        self._name = repository
        self._content = os.urandom(size)
        self._digest = "sha256:" + hashlib.sha256(self._content).hexdigest()

    def run(self) -> Iterator[Finding]:
        """Yield what is found; it ends where nothing further can be looked at."""
        try:
            if self._client.url.scheme == "https":
                yield self._certificate()
            reply = self._client.send("GET", "/v2/", anonymous=True)
        except (OSError, http.client.HTTPException) as error:
            yield Finding(WRONG, "connection", f"there is no answer: {error}")
            return
        yield _api(reply)
        yield _clock(reply)
        try:
            yield from self._inside(reply)
        except (OSError, http.client.HTTPException) as error:
            sentence = f"the connection broke in the middle: {error}"
            yield Finding(WRONG, "connection", sentence)

    def _inside(self, first: Reply) -> Iterator[Finding]:
        credentials = self._credentials(first)
        yield credentials
        if credentials.state == WRONG:
            return
        started = self._start()
        if isinstance(started, Finding):
            yield started
            return
        yield self._location(started)
        yield self._arrival(started)
        pushed = self._push()
        yield pushed
        if pushed.state == WELL:
            yield self._ranges()
            yield self._head()
            self._client.send("DELETE", f"/v2/{self._name}/blobs/{self._digest}")

    def _certificate(self) -> Finding:
        """See that the certificate is trusted, and for how long."""
        connection = self._client.connect()
        try:
            connection.connect()
            assert isinstance(connection.sock, ssl.SSLSocket)
            shown = connection.sock.getpeercert()
        except ssl.SSLCertVerificationError as error:
            return Finding(WRONG, "certificate", f"{error.verify_message}")
        finally:
            connection.close()
        if not shown:
            return Finding(UNKNOWN, "certificate", "it was not verified")
        ends = ssl.cert_time_to_seconds(str(shown["notAfter"]))
        days = (ends - time.time()) / 86400
        state = WARNING if days < DAYS else WELL
        return Finding(state, "certificate", f"it holds for {days:.0f} days")

    def _credentials(self, first: Reply) -> Finding:
        """See that a login arrives, and is good."""
        what = "credentials"
        if first.status == 200:
            return Finding(WELL, what, "the registry asks for none")
        challenge = first.headers.get("www-authenticate", "")
        if not challenge:
            return Finding(
                WRONG, what, "401 without WWW-Authenticate: a proxy takes it away"
            )
        scope = f"repository:{self._name}:pull,push,delete"
        if challenge.lower().startswith("bearer"):
            if not self._client.log_in(challenge, scope):
                return Finding(WRONG, what, "the token server gives no token")
        elif not self._client.credentials:
            return Finding(WRONG, what, "it asks for a login: give one with --user")
        reply = self._client.send("GET", "/v2/")
        if reply.status == 200:
            return Finding(WELL, what, "they are taken")
        return Finding(
            WRONG,
            what,
            "they are refused: they are wrong, or a proxy keeps the header "
            "Authorization to itself",
        )

    def _start(self) -> str | Finding:
        reply = self._client.send("POST", f"/v2/{self._name}/blobs/uploads/", b"")
        location = reply.headers.get("location", "")
        if reply.status == 202 and location:
            return location
        sentence = f"an upload cannot be started: {_said(reply)}"
        return Finding(WRONG, "push", sentence)

    def _location(self, location: str) -> Finding:
        """See that the registry knows how it is called."""
        what, told, asked = "Location", urlsplit(location), self._client.url
        if not told.netloc:
            return Finding(WELL, what, "it is relative, which is right everywhere")
        for name, mine, other in (
            ("scheme", asked.scheme, told.scheme),
            ("host", asked.netloc.rpartition("@")[2], told.netloc),
        ):
            if mine != other:
                return Finding(
                    WRONG,
                    what,
                    f"its {name} is {other} and not {mine}: set http.relativeurls or "
                    "http.host, or have the proxy send X-Forwarded-Proto and "
                    "X-Forwarded-Host and list it in http.trustedproxies",
                )
        return Finding(WELL, what, "its scheme and host are those that were asked")

    def _arrival(self, location: str) -> Finding:
        """See that bytes arrive while they are sent, and are not collected first."""
        what, piece = "buffering", self._content[: 256 << 10]
        connection = self._client.connect()
        try:
            connection.putrequest("PATCH", self._client.target(location))
            for name, value in self._client.authorization().items():
                connection.putheader(name, value)
            connection.putheader("Content-Type", "application/octet-stream")
            connection.putheader("Content-Length", str(len(piece) + 1))
            connection.endheaders()
            connection.send(piece)
            deadline = time.monotonic() + ARRIVAL
            while time.monotonic() < deadline:
                reply = self._client.send("GET", location)
                if reply.status == 404:
                    return Finding(UNKNOWN, what, "an upload cannot be asked about")
                if reply.headers.get("range", "0-0") != "0-0":
                    return Finding(WELL, what, "bytes arrive while they are sent")
                time.sleep(0.2)
        finally:
            _abort(connection)
        return Finding(
            WARNING,
            what,
            "a proxy keeps a body until it is whole: uploads take twice as long and "
            "its disk (nginx: proxy_request_buffering off)",
        )

    def _push(self) -> Finding:
        """See that a body of some size passes."""
        what, size = "body", f"{len(self._content) >> 20} MiB"
        started = self._start()
        if isinstance(started, Finding):
            return started
        joined = f"{started}{'&' if '?' in started else '?'}digest="
        headers = {"Content-Type": "application/octet-stream"}
        try:
            reply = self._client.send(
                "PUT", joined + quote(self._digest, safe=""), self._content, headers
            )
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            reply = Reply(413, {}, b"the connection was closed")
        if reply.status == 201:
            return Finding(WELL, what, f"{size} pass")
        if reply.status == 413:
            return Finding(
                WRONG,
                what,
                f"{size} are too much for a proxy (nginx: client_max_body_size 0)",
            )
        return Finding(WRONG, what, f"a push of {size} ends in {_said(reply)}")

    def _ranges(self) -> Finding:
        """See that a download can go on where it broke off."""
        first, last = len(self._content) // 2, len(self._content) // 2 + 999
        headers = {"Range": f"bytes={first}-{last}"}
        path = f"/v2/{self._name}/blobs/{self._digest}"
        reply = self._client.send("GET", path, headers=headers)
        if reply.status in (302, 303, 307):
            return Finding(UNKNOWN, "ranges", "blobs are served from elsewhere")
        if reply.status == 206 and reply.body == self._content[first : last + 1]:
            return Finding(WELL, "ranges", "a part of a blob is served")
        return Finding(
            WARNING,
            "ranges",
            f"a part of a blob is answered {reply.status}: a proxy drops the header "
            "Range, and downloads that break off begin anew",
        )

    def _head(self) -> Finding:
        """See that nobody changes content on its way."""
        path = f"/v2/{self._name}/blobs/{self._digest}"
        headers = {"Accept-Encoding": "gzip"}
        reply = self._client.send("HEAD", path, headers=headers)
        length = reply.headers.get("content-length")
        if reply.status == 200 and length == str(len(self._content)):
            return Finding(WELL, "content", "a blob has its own length")
        return Finding(
            WRONG,
            "content",
            f"a blob of {len(self._content)} bytes is told to have {length}: a proxy "
            "compresses it or takes the length away",
        )


def _api(reply: Reply) -> Finding:
    version = reply.headers.get("docker-distribution-api-version", "")
    if reply.status in (200, 401) and version == "registry/2.0":
        return Finding(WELL, "API", f"/v2/ answers {reply.status}")
    sentence = f"/v2/ answers {_said(reply)}, and not as a registry does"
    return Finding(WRONG, "API", sentence)


def _clock(reply: Reply) -> Finding:
    try:
        told = parsedate_to_datetime(reply.headers.get("date", ""))
    except (TypeError, ValueError):
        return Finding(UNKNOWN, "clock", "the answer has no date")
    apart = abs(told.timestamp() - time.time())
    if apart > CLOCK:
        sentence = f"it differs by {apart:.0f} s: tokens will not be valid"
        return Finding(WRONG, "clock", sentence)
    return Finding(WELL, "clock", "it goes as this one")


def _said(reply: Reply) -> str:
    text = " ".join(reply.body[:200].decode("utf-8", "replace").split())
    return f"{reply.status} {text}".strip()


def _abort(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
