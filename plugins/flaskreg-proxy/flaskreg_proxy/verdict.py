"""What a download ended in, left by the process that filled it to those that watch."""

from __future__ import annotations

import json
import os
from contextlib import suppress

from flaskreg.errors import RegistryError
from flaskreg_proxy.errors import UpstreamError
from flaskreg_proxy.errors import from_json


class Verdict:
    """A failure, told before the lease of the download is free.

    :param path: of its file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def raise_told(self) -> None:
        """Raise the failure that was told, if one was."""
        try:
            with open(self._path, encoding="utf-8") as file:
                document = json.load(file)
        except (FileNotFoundError, ValueError):
            return
        raise from_json(document)

    def tell(self, error: RegistryError) -> None:
        """Leave a failure."""
        document = error.to_json() if isinstance(error, UpstreamError) else None
        if document is None:
            message = {"status": error.status, "code": error.code}
            document = {**message, "message": error.message}
        temporary = f"{self._path}.{os.getpid()}"
        with suppress(OSError):
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(document, file)
            os.replace(temporary, self._path)

    def clear(self) -> None:
        """Begin anew."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
