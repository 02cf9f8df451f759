"""The service: its client, made when it is first used, and requests of our own.

The library does what it has a call for. What it has none for, sessions that outlive a
process and one request for a whole stream, goes over the same connections.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import google.auth
from google.api_core.client_info import ClientInfo
from google.api_core.exceptions import GoogleAPIError
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.auth.transport.requests import Request
from google.cloud.storage import Bucket  # type: ignore[import-untyped]
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]
from requests import RequestException
from requests import Response
from requests.adapters import HTTPAdapter

from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg_gcs.parameters import SCOPE
from flaskreg_gcs.parameters import Parameters


#: seconds for a connection to be made, and for a peer that stays silent.
TIMEOUT = (10.0, 60.0)

#: tries of one request, as distribution's, with waits between that double.
TRIES = 5
_FIRST_WAIT = 0.25

#: seconds after which the library gives a request up.
DEADLINE = 30.0

_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class GcsFailure(DriverError):
    """The service refused, or could not be reached."""

    message = "Google Cloud Storage error"


@contextmanager
def translated(path: str, *, makes: bool = False) -> Iterator[None]:
    """Raise errors of the contract instead of those of the libraries.

    :param path: of the driver, for the error.
    :param makes: whether what is asked for need not be there, only the bucket.
    """
    try:
        yield
    except NotFound as error:
        if makes or "bucket does not exist" in str(error.message):
            raise GcsFailure(path, "there is no such bucket") from None
        raise PathNotFound(path) from None
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        # Their own texts may hold URLs of sessions, which let anybody write.
        code = getattr(error, "code", None)
        name = type(error).__name__
        raise GcsFailure(path, f"{name} {int(code)}" if code else name) from None


class Service:
    """One bucket, and the requests to it.

    :param parameters: of the driver.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._lock = threading.Lock()
        self._client: Client | None = None
        #: the process that it belongs to; the server forks after a first use.
        self._pid = 0
        #: how the library tries again.
        self.retry = DEFAULT_RETRY.with_timeout(DEADLINE)
        self._places = threading.BoundedSemaphore(parameters.maxconcurrency)

    @property
    def bucket(self) -> Bucket:
        """Return the bucket; nothing is asked for it."""
        bucket: Bucket = self._made().bucket(self._parameters.bucket)
        return bucket

    @property
    def session(self) -> AuthorizedSession:
        """Return the connections, which sign what is sent."""
        session: AuthorizedSession = self._made()._http
        return session

    @contextmanager
    def turn(self, path: str, *, makes: bool = False) -> Iterator[Bucket]:
        """Wait for one of the places that requests have; translate errors in it.

        :param makes: as for :func:`translated`.
        """
        with self._places, translated(path, makes=makes):
            yield self.bucket

    def upload_url(self, key: str) -> str:
        """Return the URL at which a session for an object is started."""
        name = quote(key, safe="")
        return (
            f"{self._base()}/upload/storage/v1/b/{self._parameters.bucket}/o"
            f"?uploadType=resumable&name={name}"
        )

    def object_url(self, key: str) -> str:
        """Return the URL of what is known of an object."""
        bucket = self._parameters.bucket
        return f"{self._base()}/storage/v1/b/{bucket}/o/{quote(key, safe='')}"

    def media_url(self, key: str) -> str:
        """Return the URL of the content of an object."""
        bucket = self._parameters.bucket
        name = quote(key, safe="")
        return f"{self._base()}/download/storage/v1/b/{bucket}/o/{name}?alt=media"

    def send(
        self,
        path: str,
        method: str,
        url: str,
        *,
        body: bytes | memoryview = b"",
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> Response:
        """Send a request, again where that may help, and return any other answer.

        :param path: of the driver, for errors.
        """
        with translated(path):
            for turn in range(TRIES):
                last = turn == TRIES - 1
                try:
                    answer: Response = self.session.request(  # type: ignore[no-untyped-call]
                        method,
                        url,
                        data=bytes(body) if method != "GET" else None,
                        headers=dict(headers or {}),
                        timeout=TIMEOUT,
                        stream=stream,
                        allow_redirects=False,
                    )
                except RequestException:
                    if last:
                        raise
                else:
                    if answer.status_code not in _PASSING or last:
                        return answer
                    answer.close()
                time.sleep(_FIRST_WAIT * 2**turn * (0.5 + random.random()))
        raise AssertionError("unreachable")

    def sign(self, path: str, key: str, method: str, seconds: int) -> str | None:
        """Return a URL at which anybody may read an object for a while.

        :returns: ``None`` for credentials that have nothing to sign with.
        """
        client = self._made()
        credentials = client._credentials
        more: dict[str, Any] = {}
        if not hasattr(credentials, "sign_bytes") or not hasattr(credentials, "signer"):
            email = getattr(credentials, "service_account_email", None)
            if not email:
                return None
            with translated(path):
                if not credentials.valid:
                    credentials.refresh(Request())
            more = {"service_account_email": email, "access_token": credentials.token}
        with translated(path):
            url: str = self.bucket.blob(key).generate_signed_url(
                expiration=seconds,
                version="v4",
                method=method,
                api_access_endpoint=client.api_endpoint,
                **more,
            )
        return url

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _base(self) -> str:
        base: str = self._made().api_endpoint
        return base.rstrip("/")

    def _made(self) -> Client:
        """Return the client of this process: connections are not for two."""
        client = self._client
        if client is None or self._pid != os.getpid():
            with self._lock:
                if self._client is None or self._pid != os.getpid():
                    self._client = self._make()
                    self._pid = os.getpid()
                client = self._client
        return client

    def _make(self) -> Client:
        given = self._parameters
        credentials = given.account or _environment_credentials()
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        adapter = HTTPAdapter(pool_maxsize=given.maxconcurrency)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        agent = f"flaskreg {given.useragent}".strip()
        session.headers["User-Agent"] = agent
        return Client(
            project="flaskreg",
            credentials=credentials,
            _http=session,
            client_info=ClientInfo(user_agent=agent),  # type: ignore[no-untyped-call]
        )


def _environment_credentials() -> Any:
    """Return Application Default Credentials; an emulator wants none."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except GoogleAuthError as error:
        raise GcsFailure("/", f"no credentials: {type(error).__name__}") from None
    return credentials
