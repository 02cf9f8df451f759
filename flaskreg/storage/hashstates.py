"""The states of running digests, kept beside the data of an upload."""

from __future__ import annotations

from contextlib import suppress

from flaskreg.digest import CANONICAL
from flaskreg.digest import ENCODED_LENGTHS
from flaskreg.digest import Digester
from flaskreg.digest import make_digester
from flaskreg.digest import restore_digester
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import paths


class HashStates:
    """The states of the running digests of one session.

    A state at another offset than the size of the data is worth nothing and is never
    used; one that cannot be read is as good as none.
    """

    def __init__(self, driver: StorageDriver, name: str, session_id: str) -> None:
        self._driver = driver
        self._name = name
        self._id = session_id

    def algorithms(self) -> set[str]:
        """Return the algorithms that are kept, the canonical one always."""
        kept: set[str] = set()
        with suppress(PathNotFound):
            kept.update(self._driver.list(paths.hash_states(self._name, self._id)))
        return {CANONICAL, *kept.intersection(ENCODED_LENGTHS)}

    def load(self, algorithm: str, offset: int) -> Digester | None:
        """Return the running digest after *offset* bytes, or ``None`` without it."""
        if offset == 0:
            return make_digester(algorithm)
        try:
            state = self._driver.get_content(self._path(algorithm, offset))
        except PathNotFound:
            return None
        digester = restore_digester(algorithm, state)
        return digester if digester and digester.size == offset else None

    def forget(self, algorithm: str) -> None:
        """Drop the states of an algorithm: the content went on without one.

        A state of bytes that were lost could else fit to others that came instead.
        """
        path = f"{paths.hash_states(self._name, self._id)}/{algorithm}"
        with suppress(PathNotFound):
            self._driver.delete(path, durable=False)

    def save(self, digester: Digester) -> None:
        """Keep a running digest."""
        state = digester.state()
        if state is not None:
            path = self._path(digester.algorithm, digester.size)
            self._driver.put_content(path, state, durable=False)

    def _path(self, algorithm: str, offset: int) -> str:
        return paths.hash_state(self._name, self._id, algorithm, offset)
