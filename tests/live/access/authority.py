"""A certificate authority of a test, and the certificates that it signs."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256


DAY = datetime.timedelta(days=1)


def _name(common: str, unit: str = "") -> x509.Name:
    parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]
    if unit:
        parts.append(x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name(parts)


class Authority:
    """One authority.

    :param folder: where its files go.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._subject = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = self._build(self._subject, self._key.public_key(), ca=True)
        self.path = folder / f"{name}.crt"
        self.path.write_bytes(
            made.sign(self._key, SHA256()).public_bytes(serialization.Encoding.PEM)
        )

    def issue(
        self, common: str, *names: x509.GeneralName, unit: str = ""
    ) -> tuple[Path, Path]:
        """Return the files of a new certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._build(_name(common, unit), key.public_key(), ca=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(names), critical=False
            )
        made = builder.sign(self._key, SHA256())
        stem = f"{self.path.stem}-{common}"
        certificate = self._folder / f"{stem}.cert"
        private = self._folder / f"{stem}.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, private

    def issue_server(self) -> tuple[Path, Path]:
        """Return the files of a certificate for loopback, and of its key."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return self.issue("server", address)

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        issuer = self._key.public_key()
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
            .add_extension(authority, False)
        )
