"""User name and password for an upstream: as configured, or from a helper."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from typing import NamedTuple
from typing import Protocol

from flaskreg.config.proxy import Remote
from flaskreg_proxy.errors import UpstreamFailed


_log = logging.getLogger("flaskreg")

#: the longest time for a helper, in seconds.
HELPER_TIME = 15.0
#: bytes of a helper's answer that are read.
HELPER_ANSWER = 64 << 10


class Credentials(NamedTuple):
    """A user name and a password."""

    username: str
    password: str


class CredentialSource(Protocol):
    """Gives the credentials of one upstream."""

    def get(self, host: str) -> Credentials | None:
        """Return the credentials for *host*, or ``None`` to come without.

        :raises UpstreamFailed: they cannot be had now.
        """


class Configured:
    """The same credentials always.

    :param credentials: ``None`` for none.
    """

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials

    def get(self, host: str) -> Credentials | None:
        """Return what is configured."""
        del host
        return self._credentials


class Helper:
    """Asks a docker credential helper.

    Source: ``docker-credential-helpers``: ``get``, the host on standard input, and an
    object with ``Username`` and ``Secret`` as the answer.

    :param command: the program.
    :param lifetime: how long its answer is kept, in seconds; ``None`` for ever.
    """

    def __init__(self, command: str, lifetime: float | None) -> None:
        self._command = command
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Credentials]] = {}

    def get(self, host: str) -> Credentials | None:
        """Return the kept answer, or ask again."""
        with self._lock:
            kept = self._kept.get(host)
            if kept is not None and self._good(kept[0]):
                return kept[1]
            credentials = self._ask(host)
            self._kept[host] = (time.monotonic(), credentials)
            return credentials

    def _good(self, since: float) -> bool:
        if self._lifetime is None:
            return True
        return time.monotonic() - since < self._lifetime

    def _ask(self, host: str) -> Credentials:
        try:
            done = subprocess.run(
                [self._command, "get"],
                input=host.encode(),
                capture_output=True,
                timeout=HELPER_TIME,
                check=False,
            )
            if done.returncode:
                raise ValueError(f"exit {done.returncode}")
            answer = json.loads(done.stdout[:HELPER_ANSWER])
            return Credentials(str(answer["Username"]), str(answer["Secret"]))
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            # Its output may hold the secret, so it is not told.
            kind = type(error).__name__
            _log.error("proxy: credential helper %s: %s", self._command, kind)
            raise UpstreamFailed(message="the credential helper failed") from None


def make_credentials(remote: Remote) -> CredentialSource:
    """Return the credentials of an upstream, as its section says."""
    if remote.exec.command:
        return Helper(remote.exec.command, remote.exec.lifetime)
    if not remote.username:
        return Configured(None)
    password = remote.password.get_secret_value() if remote.password else ""
    return Configured(Credentials(remote.username, password))
