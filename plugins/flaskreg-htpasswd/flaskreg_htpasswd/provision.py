"""The first user of a registry that has none.

Source: CNCF distribution's ``htpasswd`` controller makes a missing file likewise.
"""

from __future__ import annotations

import logging
import secrets

from flaskreg.config import ConfigError
from flaskreg_htpasswd.editor import make_folder
from flaskreg_htpasswd.editor import write_new
from flaskreg_htpasswd.hashes import make_hash


USER = "docker"

_log = logging.getLogger("flaskreg.htpasswd")


def provision(path: str) -> None:
    """Make a password file with one user, whose password the log tells this once.

    Of several processes that come at once, one makes it, and that one tells.

    :raises ConfigError: it cannot be made.
    """
    password = secrets.token_urlsafe(32)
    entry = f"{USER}:".encode() + make_hash(password.encode()) + b"\n"
    try:
        make_folder(path)
        write_new(path, entry)
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    _log.warning(
        "%s was missing and is made, with user %s and password %s", path, USER, password
    )
