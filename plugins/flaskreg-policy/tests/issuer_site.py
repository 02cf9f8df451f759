"""An issuer of ID tokens on loopback, which counts what is asked of it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import Key
from joserfc.jwk import RSAKey


class Issuer:
    """An issuer whose documents a test can change."""

    def __init__(self) -> None:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked[self.path] += 1
                status, content, headers = issuer.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.asked: Counter[str] = Counter()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.keys: list[Key] = [RSAKey.generate_key(2048, {"kid": "one"})]
        self.discovery: dict[str, Any] = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
        }
        self.changed: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Return the answer to a request."""
        if path in self.changed:
            return self.changed[path]
        document: Any = self.discovery
        if path == "/jwks":
            document = {"keys": [key.as_dict(private=False) for key in self.keys]}
        return 200, json.dumps(document).encode(), {}

    def token(self, key: Key | None = None, alg: str = "RS256", **claims: Any) -> str:
        """Return a token; a claim of ``None`` is left out."""
        now = int(time.time())
        whole = {
            "iss": self.url,
            "aud": "registry",
            "sub": "1234",
            "exp": now + 300,
            "iat": now,
            **claims,
        }
        key = key or self.keys[0]
        return jwt.encode(
            {"alg": alg, "kid": key.kid},
            {name: value for name, value in whole.items() if value is not None},
            key,
            [alg],
        )

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
