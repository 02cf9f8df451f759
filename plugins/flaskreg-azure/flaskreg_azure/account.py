"""The account: who asks, and URLs that let others read."""

from __future__ import annotations

import os
import threading
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

from azure.identity import ClientSecretCredential
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobSasPermissions
from azure.storage.blob import BlobServiceClient
from azure.storage.blob import ContainerClient
from azure.storage.blob import UserDelegationKey
from azure.storage.blob import generate_blob_sas

from flaskreg_azure.parameters import Parameters


#: for how long a URL that clients are sent to is good.
REDIRECT = timedelta(minutes=20)

#: a user delegation key is asked for that long, and not used in its last part.
_KEY_LIFE = timedelta(hours=48)
_KEY_REST = timedelta(minutes=30)

#: seconds for a connection to be made, and for a peer that stays silent.
_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 60

#: the largest request that puts a whole blob, and what is read at a time, in bytes.
_WHOLE = 256 << 20
_STEP = 4 << 20


class Account:
    """Makes the client when it is first used, and signs URLs.

    :param parameters: of the driver.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._lock = threading.Lock()
        self._service: BlobServiceClient | None = None
        #: the process that it belongs to; the server forks after a first use.
        self._pid = 0
        self._credential: Any = None
        self._key: UserDelegationKey | None = None
        self._key_ends = datetime.min.replace(tzinfo=UTC)

    @property
    def container(self) -> ContainerClient:
        """Return the client of the container."""
        return self._made().get_container_client(self._parameters.container)

    def sign(self, name: str) -> str:
        """Return the URL of a blob that whoever has it may read for a while."""
        now = datetime.now(UTC)
        given = self._parameters
        signature = generate_blob_sas(
            given.accountname,
            given.container,
            name,
            account_key=given.accountkey or None,
            user_delegation_key=None if given.accountkey else self._delegated(now),
            permission=BlobSasPermissions(read=True),
            expiry=now + REDIRECT,
        )
        return f"{given.service}/{given.container}/{name}?{signature}"

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            service, self._service = self._service, None
            credential, self._credential = self._credential, None
        for each in (service, credential):
            if each is not None and hasattr(each, "close"):
                each.close()

    def _made(self) -> BlobServiceClient:
        """Return the client of this process: connections are not for two."""
        service = self._service
        if service is not None and self._pid == os.getpid():
            return service
        with self._lock:
            if self._service is None or self._pid != os.getpid():
                self._pid = os.getpid()
                given = self._parameters
                self._credential = self._make_credential()
                self._service = BlobServiceClient(
                    given.service,
                    credential=self._credential,
                    connection_verify=not given.skipverify,
                    connection_timeout=_CONNECT_TIMEOUT,
                    read_timeout=_READ_TIMEOUT,
                    retry_total=max(given.max_retries, 0),
                    initial_backoff=max(round(given.retry_delay), 1),
                    increment_base=2,
                    max_single_put_size=_WHOLE,
                    max_single_get_size=_STEP,
                    max_chunk_get_size=_STEP,
                )
            return self._service

    def _make_credential(self) -> Any:
        given = self._parameters
        if given.accountkey:
            return {"account_name": given.accountname, "account_key": given.accountkey}
        if given.credentials is not None and given.credentials.type == "client_secret":
            own = given.credentials
            return ClientSecretCredential(own.tenantid, own.clientid, own.secret)
        return DefaultAzureCredential()

    def _delegated(self, now: datetime) -> UserDelegationKey:
        """Return the key by which somebody without the account's key signs."""
        service = self._made()
        with self._lock:
            if self._key is None or now > self._key_ends - _KEY_REST:
                ends = now + _KEY_LIFE
                start = now - timedelta(minutes=5)
                self._key = service.get_user_delegation_key(start, ends)
                self._key_ends = ends
            return self._key
