"""The ``http.tls`` section."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

from pydantic import Field

from flaskreg.config.section import LOWERED
from flaskreg.config.section import Section


ClientAuth = Literal[
    "request-client-cert",
    "require-any-client-cert",
    "verify-client-cert-if-given",
    "require-and-verify-client-cert",
]


class LetsEncrypt(Section):
    """``http.tls.letsencrypt``."""

    cachefile: str | None = Field(
        default=None,
        description=(
            "The folder that keeps the account, the certificates and their keys; "
            "unset: not used. It needs `pip install flaskreg-acme`."
        ),
    )
    email: str = Field(default="", description="The address of the account.")
    hosts: list[str] = Field(
        default_factory=list,
        description="The host names that certificates are asked for.",
    )
    directoryurl: str = Field(
        default="",
        description="The ACME directory; unset: that of Let's Encrypt.",
    )


class Tls(Section):
    """``http.tls``."""

    certificate: str | None = Field(
        default=None,
        description="The path of the certificate chain (PEM); unset: no TLS.",
    )
    key: str | None = Field(
        default=None,
        description="The path of the private key (PEM).",
    )
    clientcas: list[str] = Field(
        default_factory=list,
        description="Paths of CA certificates (PEM); any turns client auth on.",
    )
    clientauth: Annotated[ClientAuth, LOWERED] = Field(
        default="require-and-verify-client-cert",
        description="What is asked of clients; holds only with `http.tls.clientcas`.",
    )
    minimumtls: Annotated[Literal["tls1.2", "tls1.3"], LOWERED] = Field(
        default="tls1.2",
        description="The lowest version that is spoken: `tls1.2` or `tls1.3`.",
    )
    ciphersuites: list[str] = Field(
        default_factory=list,
        description="Cipher suites of TLS 1.2 by name; empty: a secure selection.",
    )
    letsencrypt: LetsEncrypt = Field(
        default_factory=LetsEncrypt,
        description="Certificates from an ACME server.",
    )
