"""What a download ended in, left by the process that filled it to those that watch."""

from __future__ import annotations

import json
import os
from contextlib import suppress

from flaskreg.errors import RegistryError
from flaskreg_proxy.diskroom import NoRoom
from flaskreg_proxy.errors import UpstreamError
from flaskreg_proxy.errors import from_json


class Verdict:
    """A failure, told before the lease of the download is free.

    :param path: of its file, which is empty when there was no room: so much a full
        disk takes.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def raise_told(self) -> None:
        """Raise the failure that was told, if one was."""
        try:
            with open(self._path, encoding="utf-8") as file:
                text = file.read()
            document = json.loads(text) if text else None
        except (FileNotFoundError, ValueError):
            return
        if document is None:
            raise NoRoom
        raise from_json(document)

    def tell(self, error: RegistryError | NoRoom) -> None:
        """Leave a failure."""
        temporary = f"{self._path}.{os.getpid()}"
        with suppress(OSError):
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(_text_of(error))
            os.replace(temporary, self._path)

    def clear(self) -> None:
        """Begin anew."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)


def _text_of(error: RegistryError | NoRoom) -> str:
    if isinstance(error, NoRoom):
        return ""
    if isinstance(error, UpstreamError):
        return json.dumps(error.to_json())
    message = {"status": error.status, "code": error.code, "message": error.message}
    return json.dumps(message)
