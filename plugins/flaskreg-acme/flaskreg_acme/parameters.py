"""What ``http.tls.letsencrypt`` says, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flaskreg.config import ConfigError
from flaskreg.config.tls import LetsEncrypt


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

_KEY = "http.tls.letsencrypt"

#: a host name in ASCII; one that ends in a number is an address.
_HOST = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*"
    r"(?![0-9]+\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)


@dataclass(frozen=True)
class Parameters:
    """The section, as it is used.

    :param folder: where account, certificates and keys are kept.
    :param hosts: the names that certificates are asked for, the first one for clients
        that say no name.
    :param email: the address of the account; ``""`` for none.
    :param directory: the URL of the ACME server's directory.
    """

    folder: Path
    hosts: tuple[str, ...]
    email: str
    directory: str

    @classmethod
    def of(cls, section: LetsEncrypt) -> Parameters:
        """Return what a section says.

        :raises ConfigError: it cannot work; one line says why.
        """
        hosts = tuple(dict.fromkeys(host.lower() for host in section.hosts))
        if not hosts:
            raise ConfigError(f"{_KEY}.hosts: must list the names of this registry")
        for host in hosts:
            if not _HOST.fullmatch(host):
                wanted = "must be a host name, without wildcard or port"
                raise ConfigError.wrong(f"{_KEY}.hosts", host, wanted)
        directory = section.directoryurl or LETS_ENCRYPT
        parts = urlsplit(directory)
        if parts.scheme != "https" or not parts.hostname:
            wanted = "must be an https URL"
            raise ConfigError.wrong(f"{_KEY}.directoryurl", directory, wanted)
        return cls(Path(section.cachefile or ""), hosts, section.email, directory)
