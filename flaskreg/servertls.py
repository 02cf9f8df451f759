"""The contract of what encrypts the connections of the server."""

from __future__ import annotations

import ssl
from abc import ABC
from abc import abstractmethod


class ServerTls(ABC):
    """Gives each new connection its TLS context.

    It is made before the server forks. In each worker process, :meth:`start` is called
    after that, and :attr:`context` for each connection, in any thread.
    """

    @property
    @abstractmethod
    def context(self) -> ssl.SSLContext:
        """Return the context of a new connection, with the certificates of now."""

    def start(self) -> None:
        """Begin what goes on in this process beside connections; by default nothing.

        One of several processes can do it alone with a file lock, as
        :class:`flaskreg.lead.Lead` does.
        """

    def stop(self) -> None:
        """End it, when the process has served its last request."""
