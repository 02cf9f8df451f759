"""gunicorn's pages of errors, in the registry's own form."""

from __future__ import annotations

import json


class Told:
    """A socket that gunicorn writes the page of an error to."""

    def __init__(self) -> None:
        self.data = b""

    def gettimeout(self) -> float:
        """Return the time-out of a socket that does not block."""
        return 0.0

    def sendall(self, data: bytes) -> None:
        """Keep what would be sent."""
        self.data += data


def in_json(page: bytes) -> bytes:
    """Return the answer of a page of gunicorn's, with a body as clients read it."""
    line = page.partition(b"\r\n")[0].decode("latin-1")
    message = line.partition(" ")[2].partition(" ")[2].lower() or "error"
    error = {"code": "UNSUPPORTED", "message": message}
    body = json.dumps({"errors": [error]}, separators=(",", ":")) + "\n"
    return (
        f"{line}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode("latin-1")
