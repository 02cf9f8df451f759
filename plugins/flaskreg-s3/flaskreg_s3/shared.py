"""One question to the storage for all who ask it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Hashable
from typing import Generic
from typing import TypeVar
from typing import cast


#: how long a question waits for the one before it, and gathers who asks it too, in
#: seconds. A server near by has answered in less; one far away has its own latency.
GATHERING = 0.005

#: how long one waits for the answer that another thread asked for, in seconds; then one
#: asks for oneself.
PATIENCE = 1.0

T = TypeVar("T")


class _Question(Generic[T]):
    """What one thread asks for others too.

    The lock is free when there is an answer. Who waits takes it and lets go at once, so
    that one thread is woken after the other: the interpreter runs one at a time anyway.
    """

    __slots__ = ("answer", "error", "lock")

    def __init__(self) -> None:
        self.answer: T | None = None
        self.error: BaseException | None = None
        self.lock = threading.Lock()
        self.lock.acquire()

    def put(self, ask: Callable[[], T]) -> T:
        """Ask, and let all who wait have the answer."""
        try:
            self.answer = ask()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.lock.release()
        return self.answer

    def is_answered(self, seconds: float) -> bool:
        """Whether there is an answer, or an error, within some time."""
        if not self.lock.acquire(timeout=seconds):
            return False
        self.lock.release()
        return True


class Shared(Generic[T]):
    """Asks once for all who wait for the same answer.

    Nobody gets an answer to a question that was put before he came: what was written or
    deleted by then is seen, as if each asked for himself. So who comes while one is
    under way waits for the next, which is put when that one is answered.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        #: the questions that were put last, by what they ask for.
        self._put: dict[Hashable, _Question[T]] = {}
        #: those that will be put, and can be joined.
        self._open: dict[Hashable, _Question[T]] = {}

    def ask(self, key: Hashable, ask: Callable[[], T]) -> T:
        """Return the answer to a question that is put after this call.

        :param key: what it asks for: equal questions have equal keys.
        :param ask: puts it. What it raises is raised for all who wait.
        """
        with self._mutex:
            before = self._put.get(key)
            joined = self._open.get(key)
            if joined is None:
                mine = _Question[T]()
                (self._put if before is None else self._open)[key] = mine
        if joined is not None:
            return self._join(joined, ask)
        try:
            if before is not None:
                self._follow(before, key, mine)
            return mine.put(ask)
        finally:
            with self._mutex:
                if self._put.get(key) is mine:
                    del self._put[key]

    def _join(self, question: _Question[T], ask: Callable[[], T]) -> T:
        if not question.is_answered(PATIENCE):
            return ask()
        if question.error is not None:
            raise question.error
        return cast(T, question.answer)

    def _follow(self, before: _Question[T], key: Hashable, mine: _Question[T]) -> None:
        """Wait for the question before, then let nobody join this one."""
        try:
            before.is_answered(GATHERING)
        finally:
            with self._mutex:
                del self._open[key]
                self._put[key] = mine
