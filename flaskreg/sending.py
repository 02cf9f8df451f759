"""Bytes and files on their way to a client, however slow it is, as long as it moves."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Callable


#: the most bytes that are handed to the system at once.
_AT_ONCE = 1 << 30


def send_bytes(sock: socket.socket, data: bytes) -> None:
    """Send all of *data*; when the system takes it at once, nothing is waited for.

    A socket with a time-out asks the system first whether it may write.

    :raises TimeoutError: the client took nothing for the time-out of the socket.
    :raises OSError: the client is gone.
    """
    try:
        sent = os.write(sock.fileno(), data)
    except BlockingIOError:
        sent = 0
    if sent < len(data):
        sock.sendall(data[sent:])


def send_file(sock: socket.socket, descriptor: int, offset: int, count: int) -> int:
    """Send a part of a file from the kernel, and return how many bytes went.

    The time-out of the socket is for a client that takes nothing. A socket becomes
    writable only when a third of its buffer is free, some megabytes on a fast network,
    so a client that is not done with them in time is asked for by what it has
    acknowledged.

    :param offset: where the part begins, in bytes.
    :param count: its bytes; fewer are sent when the file ends before.
    :raises TimeoutError: the client took nothing for the time-out of the socket.
    :raises OSError: the client is gone.
    """
    begin = offset

    def send(left: int) -> int:
        nonlocal offset
        sent = os.sendfile(sock.fileno(), descriptor, offset, min(left, _AT_ONCE))
        offset += sent
        return sent

    _send(sock, send, count)
    return offset - begin


def send_pipe(sock: socket.socket, pipe: int, count: int) -> None:
    """Send what a pipe holds, from the kernel, with the patience of :func:`send_file`.

    :param pipe: its reading end.
    :param count: bytes that are in it.
    :raises TimeoutError: the client took nothing for the time-out of the socket.
    :raises OSError: the client is gone.
    """
    _send(sock, lambda left: os.splice(pipe, sock.fileno(), left), count)


def _send(sock: socket.socket, send: Callable[[int], int], left: int) -> None:
    """Send until nothing is left, or there is nothing more.

    :param send: sends at most so many bytes, and returns how many those are.
    """
    queued = None
    while left:
        try:
            sent = send(left)
        except BlockingIOError:
            queued = _wait(sock, queued)
            continue
        if not sent:
            break
        left -= sent
        queued = None


def _wait(sock: socket.socket, queued: int | None) -> int | None:
    """Wait until a socket takes more.

    :param queued: bytes that the client had not acknowledged when it was last waited
        for in vain.
    :returns: the same, now; ``None`` when the socket takes more.
    """
    timeout = sock.gettimeout()
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    before = _queued(sock) if queued is None else queued
    if poller.poll(None if timeout is None else timeout * 1000):
        return None
    now = _queued(sock)
    if now >= before:
        raise TimeoutError("the client takes nothing")
    return now


def _queued(sock: socket.socket) -> int:
    """Return the bytes that were sent and not acknowledged."""
    answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    queued: int = struct.unpack("i", answer)[0]
    return queued
