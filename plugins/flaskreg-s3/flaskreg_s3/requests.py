"""Signed requests to one bucket, sent again when a fault passes."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection
from collections.abc import Mapping

from flaskreg_s3.endpoint import Endpoint
from flaskreg_s3.failures import S3Error
from flaskreg_s3.failures import make_error
from flaskreg_s3.failures import pauses
from flaskreg_s3.signing import EMPTY_SHA256
from flaskreg_s3.signing import UNSIGNED
from flaskreg_s3.signing import Signer
from flaskreg_s3.signing import encode
from flaskreg_s3.signing import encode_query
from flaskreg_s3.wire import Answer
from flaskreg_s3.wire import Pool


Body = bytes | memoryview

#: the longest document that is read of a server.
LARGEST_DOCUMENT = 64 << 20

_NOTHING: Mapping[str, str] = {}
_log = logging.getLogger("flaskreg.s3")


class Requests:
    """Sends requests and says what went wrong.

    :param endpoint: where the bucket is.
    :param signer: makes them the account's own.
    :param pool: the connections.
    :param user_agent: what they say of who sends them.
    :param logs: whether each is written to the log ``flaskreg.s3``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        signer: Signer,
        pool: Pool,
        *,
        user_agent: str,
        logs: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._signer = signer
        self._pool = pool
        self._logs = logs
        #: what the server calls itself; some have their ways.
        self.server = ""
        self._common = f"Host: {endpoint.host}\r\nUser-Agent: {user_agent}\r\n"

    def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        body: Body = b"",
        good: Collection[int] = (200, 204, 206),
    ) -> Answer:
        """Send a request and return its answer, whose body is still to be read.

        :param key: of the object; empty for the bucket.
        :param good: the statuses that are no error.
        :raises S3Error: the answer is an error that did not pass, or there is none.
        """
        waits = pauses()
        while True:
            try:
                return self._attempt(method, key, query, headers, body, good)
            except S3Error as error:
                pause = next(waits, None) if error.passing else None
                if pause is None:
                    raise
                _log.info("%s; again in %.1f s", error, pause)
            time.sleep(pause)

    def call(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        body: Body = b"",
    ) -> tuple[Mapping[str, str], bytes]:
        """Send a request and return the headers and the body of its answer.

        A copy or a completed upload can answer 200 and tell of an error in its body,
        since the status is sent before the work is done.

        :raises S3Error: as :meth:`send`.
        """
        waits = pauses()
        while True:
            answer = self.send(method, key, query=query, headers=headers, body=body)
            try:
                content = answer.read_all(LARGEST_DOCUMENT)
            except OSError as fault:
                error = broken(key, fault)
            else:
                if b"<Error>" not in content[:300]:
                    return answer.headers, content
                error = make_error(key, 500, content)
            pause = next(waits, None)
            if pause is None:
                raise error
            time.sleep(pause)

    def presign(self, method: str, host: str, key: str, seconds: int) -> str:
        """Return path and query with which *method* can be done at *host*."""
        path = self._path(key)
        return f"{path}?{self._signer.presign(method, host, path, seconds)}"

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _attempt(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Body,
        good: Collection[int],
    ) -> Answer:
        head = self._head(method, key, query, headers, body)
        begin = time.monotonic()
        try:
            answer = self._pool.exchange(method, head, body)
            if self._logs:
                _log.warning(
                    "%s /%s %s: %d in %.1f ms, %d bytes sent",
                    method,
                    key,
                    " ".join(sorted(query)),
                    answer.status,
                    (time.monotonic() - begin) * 1000,
                    len(body),
                )
            self.server = answer.headers.get("server", "")
            if answer.status in good:
                return answer
            raise make_error(key, answer.status, answer.read_all(LARGEST_DOCUMENT))
        except OSError as fault:
            raise broken(key, fault) from fault

    def _path(self, key: str) -> str:
        if key:
            return encode(f"{self._endpoint.prefix}{key}", safe="/")
        return self._endpoint.prefix.rstrip("/") or "/"

    def _head(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Body,
    ) -> bytes:
        sent = dict(headers)
        path, text = self._path(key), encode_query(query) if query else ""
        payload = UNSIGNED
        if not body:
            payload = EMPTY_SHA256
        elif self._signer.signs_payload:
            payload = hashlib.sha256(body).hexdigest()
        host = self._endpoint.host
        self._signer.sign(method, host, path, text, sent, payload)
        if body or method in ("PUT", "POST"):
            sent["content-length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        target = f"{path}?{text}" if text else path
        return f"{method} {target} HTTP/1.1\r\n{self._common}{lines}\r\n".encode()


def broken(key: str, fault: OSError) -> S3Error:
    """Return the error for a connection that failed."""
    return S3Error(key, 0, type(fault).__name__, str(fault)[:200], broken=True)
