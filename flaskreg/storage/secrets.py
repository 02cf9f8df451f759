"""The secret that signs upload states when the configuration has none.

It is kept in the storage, so that all workers and nodes have the same one and sessions
survive a restart. Two processes that make one at the same moment both keep theirs: one
is used for signing, and each is good for verifying.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence

from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver


_DIRECTORY = "/flaskreg/secrets"


class StoredSecrets:
    """Secrets in the storage, read when first needed.

    :param driver: where they are.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver
        self._known: Sequence[bytes] = ()

    def keys(self, *, again: bool = False) -> Sequence[bytes]:
        """Return the secrets; the first one signs.

        :param again: read the storage again, for a secret of another process.
        """
        if again or not self._known:
            self._known = self._read() or self._make()
        return self._known

    def _read(self) -> Sequence[bytes]:
        try:
            names = sorted(self._driver.list(_DIRECTORY))
            found = (self._driver.get_content(f"{_DIRECTORY}/{name}") for name in names)
            return [secret for secret in found if secret]
        except PathNotFound:
            return []

    def _make(self) -> Sequence[bytes]:
        secret = secrets.token_bytes(32)
        try:
            self._driver.put_content(f"{_DIRECTORY}/{uuid.uuid4()}", secret)
        except (DriverError, OSError):
            # A storage that cannot be written to has no uploads to sign for.
            return [secret]
        return self._read() or [secret]


class FixedSecrets:
    """The secret of the configuration.

    :param secret: as configured.
    """

    def __init__(self, secret: str) -> None:
        self._secrets = (secret.encode(),)

    def keys(self, *, again: bool = False) -> Sequence[bytes]:
        """Return the one secret."""
        del again
        return self._secrets
