"""What Azure answers, in the words of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError
from azure.core.exceptions import HttpResponseError
from azure.core.exceptions import ResourceNotFoundError

from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound


class AzureFailure(DriverError):
    """The service refused, or could not be reached."""

    message = "Azure error"


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise errors of the contract instead of those of the library.

    :param path: of the driver, for the error.
    """
    try:
        yield
    except ResourceNotFoundError as error:
        if code_of(error) == "ContainerNotFound":
            raise AzureFailure(path, "ContainerNotFound") from None
        raise PathNotFound(path) from None
    except AzureError as error:
        # Its own text may hold URLs with signatures.
        raise AzureFailure(path, code_of(error) or type(error).__name__) from None


def code_of(error: BaseException) -> str:
    """Return Azure's word for an error, such as ``BlobNotFound``; or ``""``."""
    if not isinstance(error, HttpResponseError):
        return ""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))
