"""A client that shows what a proxy does: it follows nothing and hides nothing."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import urllib.parse
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult
from urllib.parse import urlsplit


#: the longest time without a byte moving, in seconds.
TIMEOUT = 30.0

#: bytes of an answer that are read.
_LONGEST = 64 << 20

_PAIR = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class DoctorClient:
    """Sends requests to one registry.

    :param url: of the registry, without ``/v2/``.
    :param user: ``""`` for nobody.
    :param verify: whether the server's certificate is verified.
    """

    def __init__(
        self, url: str, user: str = "", password: str = "", *, verify: bool = True
    ) -> None:
        self.url: SplitResult = urlsplit(url.rstrip("/"))
        self._user = user
        self._password = password
        self._context = ssl.create_default_context()
        if not verify:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        self._token = ""

    @property
    def credentials(self) -> bool:
        """Whether it has a user."""
        return bool(self._user)

    def connect(self, url: SplitResult | None = None) -> http.client.HTTPConnection:
        """Return a connection to the registry, or to another server."""
        url = url or self.url
        host, port = url.hostname or "", url.port
        if url.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT, context=self._context
            )
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)

    def target(self, location: str) -> str:
        """Return the target of a request to a path, or to a URL that was told.

        Whatever scheme and host a ``Location`` has, the registry is asked where it
        was asked before.
        """
        parts = urlsplit(location)
        path = parts.path if parts.netloc else self.url.path + parts.path
        if not parts.netloc and self.url.path and location.startswith(self.url.path):
            path = parts.path
        return f"{path}?{parts.query}" if parts.query else path

    def authorization(self) -> dict[str, str]:
        """Return the header that says who asks."""
        if self._token:
            return {"Authorization": f"Bearer {self._token}"}
        return self._basic() if self._user else {}

    def send(
        self,
        method: str,
        location: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        anonymous: bool = False,
    ) -> Reply:
        """Send a request on a connection of its own.

        :raises OSError: there is no answer.
        :raises http.client.HTTPException: the answer is not HTTP.
        """
        known = {} if anonymous else self.authorization()
        connection = self.connect()
        try:
            connection.request(
                method, self.target(location), body, {**known, **(headers or {})}
            )
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Reply(response.status, found, response.read(_LONGEST))
        finally:
            connection.close()

    def log_in(self, challenge: str, scope: str) -> bool:
        """Get a token where a challenge asks for one; whether there is one then."""
        kind, _, rest = challenge.partition(" ")
        pairs = dict(_PAIR.findall(rest))
        if kind.lower() != "bearer" or "realm" not in pairs:
            return False
        realm = urlsplit(pairs["realm"])
        query = {"service": pairs.get("service", ""), "scope": scope}
        connection = self.connect(realm)
        try:
            target = f"{realm.path}?{urllib.parse.urlencode(query)}"
            connection.request("GET", target, headers=self._basic())
            response = connection.getresponse()
            document = json.loads(response.read(1 << 20))
            self._token = str(document.get("token") or document.get("access_token", ""))
        except (ValueError, AttributeError):
            return False
        finally:
            connection.close()
        return bool(self._token)

    def _basic(self) -> dict[str, str]:
        if not self._user:
            return {}
        value = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        return {"Authorization": f"Basic {value}"}
