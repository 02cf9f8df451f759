"""The keys that requests are signed with: configured, or of the default chain.

The chain is botocore's: environment, shared files and profiles, web identity (IRSA),
containers, and the instance. Temporary keys are renewed by it before they end.
"""

from __future__ import annotations

import threading

import botocore.exceptions
import botocore.session

from flaskreg.driver import DriverError
from flaskreg_s3.parameters import Parameters
from flaskreg_s3.signing import Keys
from flaskreg_s3.signing import KeySource


class CredentialsMissing(DriverError):
    """Nobody has keys for the bucket."""

    message = "no S3 credentials"


class ChainedKeys:
    """Keys of the default chain, looked for when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: botocore.credentials.Credentials | None = None

    def __call__(self) -> Keys:
        """Return the keys that are good now.

        :raises CredentialsMissing: the chain has none, or cannot renew them.
        """
        try:
            with self._lock:
                if self._found is None:
                    self._found = botocore.session.Session().get_credentials()
            if self._found is not None:
                return Keys(*self._found.get_frozen_credentials()[:3])
        except botocore.exceptions.BotoCoreError as error:
            raise CredentialsMissing("/", type(error).__name__) from None
        raise CredentialsMissing("/", "set accesskey and secretkey, or the environment")


def make_keys(parameters: Parameters) -> KeySource:
    """Return what gives the keys; nothing is looked for yet."""
    if not parameters.accesskey:
        return ChainedKeys()
    keys = Keys(
        parameters.accesskey, parameters.secretkey, parameters.sessiontoken or None
    )
    return lambda: keys
