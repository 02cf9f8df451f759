"""A client of HTTP/2 that goes on with all of its streams at once.

Those that people have take turns: httpx waits for the window of one upload while
another's opens (httpcore 1.0), and curl 7.88 puts no second stream on a connection
that begins in HTTP/2.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from dataclasses import field

import h2.connection
import h2.events


@dataclass
class Exchange:
    """One request, and what has come of its answer."""

    method: str
    path: str
    body: bytes = b""
    sent: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)
    ended: bool = False

    @property
    def status(self) -> int:
        """Return the status; 0 when none has come."""
        return int(self.headers.get(":status", 0))


def exchange(port: int, *exchanges: Exchange) -> None:
    """Begin all requests on one connection, then send and receive until all end.

    :raises ConnectionError: the server closed it before.
    """
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    by_stream = {}
    for number, each in enumerate(exchanges):
        stream = 2 * number + 1
        by_stream[stream] = each
        head = [(":method", each.method), (":path", each.path), (":scheme", "http")]
        head += [(":authority", f"127.0.0.1:{port}")]
        connection.send_headers(stream, head, end_stream=not each.body)
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        while not all(each.ended for each in exchanges):
            for stream, each in by_stream.items():
                _send(connection, stream, each)
            sock.sendall(connection.data_to_send())
            received = sock.recv(65536)
            if not received:
                raise ConnectionError("closed before all streams have ended")
            for event in connection.receive_data(received):
                _take(connection, by_stream, event)


def _send(connection: h2.connection.H2Connection, stream: int, each: Exchange) -> None:
    """Send one frame of a body, if the window lets it."""
    left = len(each.body) - each.sent
    room = min(left, connection.max_outbound_frame_size)
    room = min(room, connection.local_flow_control_window(stream)) if room else 0
    if room and not each.ended:
        frame = each.body[each.sent : each.sent + room]
        connection.send_data(stream, frame, end_stream=room == left)
        each.sent += room


def _take(
    connection: h2.connection.H2Connection,
    by_stream: dict[int, Exchange],
    event: h2.events.Event,
) -> None:
    if isinstance(event, h2.events.ResponseReceived):
        for name, value in event.headers:
            by_stream[event.stream_id].headers[name.decode()] = value.decode()
    elif isinstance(event, h2.events.DataReceived):
        by_stream[event.stream_id].content += event.data
        length = event.flow_controlled_length
        connection.acknowledge_received_data(length, event.stream_id)
    elif isinstance(event, h2.events.StreamEnded):
        by_stream[event.stream_id].ended = True
    elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
        raise ConnectionError(str(event))
