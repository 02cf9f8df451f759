"""Keys, requests for certificates, and certificates (PEM)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key


#: the extension that answers a challenge (RFC 8737, section 3).
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")

#: how long a certificate may still hold when it is renewed, at most.
_EARLY = timedelta(days=30)

_DAY = timedelta(days=1)


def make_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key, on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as autocert writes it."""
    form = PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def make_request(host: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a request for a certificate of one host."""
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    request = x509.CertificateSigningRequestBuilder(x509.Name([]))
    signed = request.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def make_answer(host: str, digest: bytes) -> bytes:
    """Return the key and the certificate that answer a challenge (RFC 8737).

    :param digest: SHA-256 of the key authorization.
    """
    key, now = make_key(), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "challenge")])
    # An OCTET STRING of 32 bytes, in DER.
    value = x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + digest)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .add_extension(value, True)
        .sign(key, hashes.SHA256())
    )
    return pem_of(key) + certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True)
class Validity:
    """When a certificate begins and ends to hold."""

    begin: datetime
    end: datetime

    @property
    def renewal(self) -> datetime:
        """Return when it is renewed: 30 days or a third of its time before its end."""
        return self.end - min(_EARLY, (self.end - self.begin) / 3)


def validity_of(content: bytes, host: str) -> Validity:
    """Return when the certificate of a file with its key holds.

    :raises ValueError: it is not a certificate of that host with its key.
    """
    key = load_pem_private_key(content, password=None)
    certificate = x509.load_pem_x509_certificates(content)[0]
    if certificate.public_key() != key.public_key():
        raise ValueError("the certificate is of another key")
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        raise ValueError("the certificate has no names") from None
    if host not in extension.value.get_values_for_type(x509.DNSName):
        raise ValueError("the certificate is of another host")
    return Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc)
