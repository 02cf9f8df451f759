"""The contract of observers: who looks at each request without changing it."""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any


#: where the exchange stands in the environ of its request.
EXCHANGE = "flaskreg.exchange"


class Exchange:
    """One request to the API, and its answer as far as there is one.

    :param environ: of the request.
    :param endpoint: what its path leads to, such as ``manifest`` or ``blob``.
    :param name: the repository as it stands in the path; ``""`` without one.
    :param reference: the tag, digest or session of the path; ``""`` without one.
    :param client_of: tells the client's address of an environ, proxies considered.
    """

    __slots__ = (
        "_client_of",
        "_id",
        "began",
        "cache",
        "endpoint",
        "environ",
        "error",
        "headers",
        "name",
        "notes",
        "principal",
        "reference",
        "status",
    )

    def __init__(
        self,
        environ: dict[str, Any],
        endpoint: str,
        name: str,
        reference: str,
        client_of: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self.environ = environ
        self.endpoint = endpoint
        self.name = name
        self.reference = reference
        #: when the request came, by :func:`time.perf_counter`.
        self.began = time.perf_counter()
        #: who was let in; ``""`` for nobody in particular, or nobody yet.
        self.principal = ""
        #: of the answer; 0 before there is one.
        self.status = 0
        #: of the answer.
        self.headers: Iterable[tuple[str, str]] = ()
        #: what the request ended in; ``None`` when that was no error.
        self.error: Exception | None = None
        #: ``hit``, ``miss`` or another word of a cache; ``""``: none was asked.
        self.cache = ""
        #: what observers keep here for themselves, by their own names.
        self.notes: dict[str, Any] | None = None
        self._client_of = client_of
        self._id = ""

    @property
    def id(self) -> str:
        """Return a UUID that no other request has."""
        if not self._id:
            self._id = str(uuid.uuid4())
        return self._id

    @property
    def method(self) -> str:
        """Return GET, PUT and so on."""
        method: str = self.environ["REQUEST_METHOD"]
        return method

    @property
    def client(self) -> str:
        """Return the client's address; ``""`` where the server does not tell."""
        return self._client_of(self.environ)

    @property
    def seconds(self) -> float:
        """Return the time since the request came."""
        return time.perf_counter() - self.began

    @property
    def digest(self) -> str:
        """Return the digest that the answer names, or else the path; ``""``: none."""
        named = self.header("Docker-Content-Digest")
        return named or (self.reference if ":" in self.reference else "")

    @property
    def code(self) -> str:
        """Return the error's code in the answer; ``""`` without an error."""
        if self.error is None:
            return ""
        return str(getattr(self.error, "code", "UNKNOWN"))

    @property
    def claimed_user(self) -> str:
        """Return who the request says it is from, right or wrong (HTTP Basic)."""
        kind, _, value = self.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "basic" or len(value) > 4096:
            return ""
        try:
            decoded = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            return ""
        user, colon, _ = decoded.partition(b":")
        return user.decode("utf-8", "replace")[:255] if colon else ""

    def header(self, name: str) -> str:
        """Return a header of the answer; ``""`` when it has none of that name."""
        for each, value in self.headers:
            if each == name:
                return value
        return ""


#: the exchange that the running code belongs to, for logs and for caches.
CURRENT: ContextVar[Exchange | None] = ContextVar("flaskreg.exchange", default=None)


class Observer(ABC):
    """Looks at every request to the API, in the thread that answers it.

    Both methods stand in the way of the client and must be quick. What they raise is
    logged and changes nothing.
    """

    @abstractmethod
    def started(self, exchange: Exchange) -> None:
        """Look at a request before anything is done with it."""

    @abstractmethod
    def finished(self, exchange: Exchange) -> None:
        """Look at an answer: a short one before it is sent, a streamed one after."""
