"""A webhook receiver that does what a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer


class Receiver:
    """Keeps what it takes; ``answer`` decides over each request.

    :param answer: given the document and how often it came, returns the status.
    """

    def __init__(self, answer: Callable[[dict, int], int] | None = None) -> None:
        self.answer = answer or (lambda _event, _times: 202)
        #: the events that were taken, in their order.
        self.taken: list[dict] = []
        #: how often each event came, by its id.
        self.came: dict[str, int] = {}
        #: headers and bodies of all requests.
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # noqa: N802 - its name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format, *args) -> None:  # noqa: A002 - its name
                """Write nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Decide over a request, and keep its event when it is taken."""
        document = json.loads(body)
        event = document["events"][0] if "events" in document else document
        with self._lock:
            self.requests.append((headers, body))
            times = self.came[event["id"]] = self.came.get(event["id"], 0) + 1
        status = self.answer(event, times)
        if 200 <= status < 400:
            with self._lock:
                self.taken.append(event)
        return status

    def ids(self) -> list[str]:
        """Return the ids of what was taken, each once, in their order."""
        with self._lock:
            return list(dict.fromkeys(event["id"] for event in self.taken))

    def wait(self, count: int, seconds: float = 60) -> list[dict]:
        """Wait for that many different events, and return what was taken."""
        eventually(lambda: len(self.ids()) >= count, f"{count} events", seconds)
        return self.taken

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def eventually(condition, what, seconds=60):
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not in {seconds:g} s: {what}")
