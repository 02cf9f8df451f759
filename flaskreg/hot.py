"""Connections whose requests are short and come fast, all served by one thread.

Threads that answer requests of some microseconds spend more time on waiting for one
another than on answering: the interpreter goes to another one at each read and write.
So a connection that had a few short requests in a row is served here. One thread waits
for all of them, and answers what comes, one after the other.

A request that is not short after all, because of a cold disk for one, holds up nobody
for long: a second thread looks on, and takes over all other connections. And where
requests wait for something most of the time, for an object store, threads are better:
then nothing is served here for a while.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from typing import Any


#: how long the others wait for a request that is not short, in seconds.
PATIENCE = 0.01

#: how long a connection stays without a request, in seconds.
QUIET = 1.0

#: how long a request takes that waits for something, in seconds, and not only for the
#: interpreter; which part of the requests may do so before threads of their own serve
#: all, and how long, in seconds.
SLOW = 0.003
SHARE = 0.6
COOLING = 2.0

#: what the newest request counts in that part.
_WEIGHT = 1 / 32


class _Hot:
    """A connection while it is served here."""

    __slots__ = ("conn", "descriptor", "seen")

    def __init__(self, conn: Any) -> None:
        self.conn = conn
        self.descriptor: int = conn.sock.fileno()
        #: when its last request was answered.
        self.seen = time.monotonic()


class HotConnections:
    """The connections of one worker that are served by one thread.

    :param step: takes what a connection sends, and returns what becomes of it; ``None``
        when it stays. It is called by the thread that leads.
    :param leave: takes a connection back, with what becomes of it. It is called by any
        thread.
    """

    def __init__(
        self, step: Callable[[Any], Any], leave: Callable[[Any, Any], None]
    ) -> None:
        self._step = step
        self._leave = leave
        # Other systems have none, and every connection stays with the threads.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._lock = threading.Lock()
        self._connections: dict[int, _Hot] = {}
        #: whose turn it is; a thread that finds another one here ends.
        self._leader: object = None
        self._watched = False
        self._busy: _Hot | None = None
        self._since = 0.0
        #: the part of the last requests that waited for something.
        self._slow = 0.0
        #: until when threads serve all; 0 while they do not.
        self._cooled = 0.0

    def take(self, conn: Any) -> bool:
        """Serve a connection from now on, unless threads are better for it."""
        if self._epoll is None or self._is_cooling():
            return False
        hot = _Hot(conn)
        with self._lock:
            self._connections[hot.descriptor] = hot
            self._epoll.register(hot.descriptor, select.EPOLLIN)
            led, watched, leader = self._leader is not None, self._watched, object()
            if not led:
                self._leader, self._watched = leader, True
        if not led:
            _start(self._lead, leader)
        if not watched:
            _start(self._look_on)
        return True

    def release(self) -> None:
        """Give back all connections, but one whose request is being answered."""
        with self._lock:
            idle = [hot for hot in self._connections.values() if hot is not self._busy]
            self._forget(*idle)
        for hot in idle:
            self._leave(hot.conn, True)

    def _lead(self, leader: object) -> None:
        """Serve until another thread leads, or nothing is left."""
        swept, epoll = time.monotonic(), self._epoll
        while epoll is not None:
            for descriptor, _ in epoll.poll(QUIET):
                if not self._serve(descriptor, leader):
                    return
            now = time.monotonic()
            if now - swept >= QUIET:
                swept = now
                if not self._sweep(now, leader):
                    return

    def _serve(self, descriptor: int, leader: object) -> bool:
        """Serve what one connection sends.

        :returns: whether the thread still leads.
        """
        began = time.monotonic()
        with self._lock:
            if self._leader is not leader:
                return False
            hot = self._connections.get(descriptor)
            if hot is None:
                return True
            self._busy, self._since = hot, began
        try:
            outcome = self._step(hot.conn)
        except Exception:  # noqa: BLE001 - whatever it ends in, only its connection ends
            outcome = False
        hot.seen = time.monotonic()
        outcome = self._judge(hot.seen - began, outcome)
        with self._lock:
            leads = self._leader is leader
            if leads:
                self._busy = None
                if outcome is not None:
                    self._forget(hot)
        if outcome is not None or not leads:
            self._leave(hot.conn, True if outcome is None else outcome)
        return leads

    def _judge(self, took: float, outcome: Any) -> Any:
        """Return what becomes of a connection, when requests take so long."""
        self._slow += ((took > SLOW) - self._slow) * _WEIGHT
        if self._slow > SHARE and not self._cooled:
            self._cooled = time.monotonic() + COOLING
        return True if outcome is None and self._cooled else outcome

    def _is_cooling(self) -> bool:
        if not self._cooled:
            return False
        if time.monotonic() < self._cooled:
            return True
        self._slow = self._cooled = 0.0
        return False

    def _sweep(self, now: float, leader: object) -> bool:
        """Give back the connections that are quiet.

        :returns: whether any are left for this thread.
        """
        with self._lock:
            if self._leader is not leader:
                return False
            quiet = [
                hot for hot in self._connections.values() if now - hot.seen >= QUIET
            ]
            self._forget(*quiet)
            if not self._connections:
                self._leader = None
        for hot in quiet:
            self._leave(hot.conn, True)
        return self._leader is leader

    def _look_on(self) -> None:
        """Take over from a thread that is held up, as long as there is one."""
        while True:
            time.sleep(PATIENCE)
            leader = object()
            with self._lock:
                if self._leader is None:
                    self._watched = False
                    return
                if self._busy is None or time.monotonic() - self._since < PATIENCE:
                    continue
                self._forget(self._busy)
                self._busy, self._leader = None, leader
            _start(self._lead, leader)

    def _forget(self, *connections: _Hot) -> None:
        """Wait for connections no more; the lock is held."""
        for hot in connections:
            if self._connections.get(hot.descriptor) is not hot:
                continue
            del self._connections[hot.descriptor]
            try:
                self._epoll.unregister(hot.descriptor)  # type: ignore[union-attr]
            except OSError:
                # Its socket was closed, and is not waited for.
                continue


def _start(target: Callable[..., None], *args: object) -> None:
    threading.Thread(target=target, args=args, name="hot", daemon=True).start()
