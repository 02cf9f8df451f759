"""Reading an object: one request for the whole stream."""

from __future__ import annotations

import io

from requests import Response
from urllib3.exceptions import HTTPError


class ObjectReader(io.RawIOBase):
    """Gives the bytes of an answer as they come.

    :param answer: whose body was not read yet.
    """

    def __init__(self, answer: Response) -> None:
        self._answer = answer

    def readable(self) -> bool:
        """Return ``True``."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as the connection gives."""
        target = memoryview(buffer)  # type: ignore[arg-type]
        try:
            chunk = self._answer.raw.read(len(target))
        except HTTPError as error:
            raise OSError(
                f"the connection ended early: {type(error).__name__}"
            ) from None
        target[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Give the connection back, or end it where the body was not read whole."""
        self._answer.close()
        super().close()
