"""HTTP/2 without TLS, by prior knowledge (RFC 9113, section 3.3).

gunicorn's own workers let trusted proxies alone begin so, and nothing else on the port.
Here, as in distribution, any client may, and others go on in HTTP/1.1.
"""

from __future__ import annotations

from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.parser import RequestParser
from gunicorn.http2.errors import HTTP2Error


def is_spoken(cfg: Any) -> bool:
    """Whether gunicorn's settings ask for it."""
    return (
        cfg.http2_cleartext == "prior-knowledge"
        and "h2" in cfg.http_protocols
        and not cfg.is_ssl
    )


def speak(conn: Any) -> None:
    """Go on in HTTP/2 on a connection whose preface was received, unless it does.

    :raises ConnectionError: what came with the preface is not HTTP/2.
    """
    if not isinstance(conn.parser, RequestParser):
        return
    data = conn.parser.unreader.take_buffered()
    parser = get_parser(conn.cfg, conn.sock, conn.client, http2_connection=True)
    conn.parser = parser
    try:
        parser.initiate_connection()
        # The first requests may have come with the preface.
        parser.pending_requests.extend(parser.receive_data(data))
    except HTTP2Error as error:
        raise ConnectionError(str(error)) from None
