"""Identities from the TLS certificates of clients.

The server has verified the certificate against ``http.tls.clientcas`` before anybody
is asked; here it is only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import BeforeValidator
from pydantic import Field

from flaskreg.config.section import Section
from flaskreg_policy.identity import Identity


#: Python's names of the kinds of subject alternative names.
_KINDS = {"dns": "DNS", "email": "email", "uri": "URI"}


class CertificateSettings(Section):
    """``auth.policy.mtls``."""

    user: Literal["cn", "dns", "email", "uri"] = Field(
        default="cn",
        description="What names the user: the subject's CN, or a kind of SAN.",
    )
    prefix: str = Field(default="", description="What stands before that name.")
    groups: Literal["none", "ou", "o"] = Field(
        default="none",
        description="Which parts of the subject name groups.",
    )
    hosts: Annotated[
        list[str], BeforeValidator(lambda it: [it] if isinstance(it, str) else it)
    ] = Field(
        default_factory=list,
        description="Names that are nobody's, such as those of the servers.",
    )


class CertificateReader:
    """Reads who the owner of a certificate is.

    :param settings: what to look at.
    """

    def __init__(self, settings: CertificateSettings) -> None:
        self._settings = settings

    def identify(self, certificate: Mapping[str, Any] | None) -> Identity | None:
        """Return whose certificate it is, or ``None`` when it names nobody.

        :param certificate: as :meth:`ssl.SSLSocket.getpeercert` decodes it.
        """
        names = list(self._names(certificate or {}))
        # Of two names neither is the right one, and an empty one is nobody's.
        if len(names) != 1 or not names[0] or names[0] in self._settings.hosts:
            return None
        settings = self._settings
        kind = {"ou": "organizationalUnitName", "o": "organizationName"}
        groups = _subject(certificate or {}, kind.get(settings.groups, ""))
        return Identity(settings.prefix + names[0], frozenset(groups), "certificate")

    def _names(self, certificate: Mapping[str, Any]) -> Iterator[str]:
        if self._settings.user == "cn":
            yield from _subject(certificate, "commonName")
            return
        wanted = _KINDS[self._settings.user]
        for kind, value in certificate.get("subjectAltName", ()):
            if kind == wanted:
                yield value


def _subject(certificate: Mapping[str, Any], wanted: str) -> Iterator[str]:
    for parts in certificate.get("subject", ()):
        for kind, value in parts:
            if kind == wanted:
                yield value
