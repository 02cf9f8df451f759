"""Chains of certificates, up to one of the configured roots.

Source: RFC 5280; CNCF distribution verifies chains for any extended key usage.
"""

from __future__ import annotations

import base64
import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.verification import Criticality
from cryptography.x509.verification import ExtensionPolicy
from cryptography.x509.verification import Policy
from cryptography.x509.verification import PolicyBuilder
from cryptography.x509.verification import Store
from cryptography.x509.verification import VerificationError
from joserfc.jwk import Key

from flaskreg_token.algorithms import key_of
from flaskreg_token.refused import TokenRefused


#: the most certificates of a chain.
_LONGEST = 10


def parse_bundle(content: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file, whatever else is in it.

    :raises ValueError: one of them is broken, or there is none.
    """
    return tuple(x509.load_pem_x509_certificates(content))


def key_of_chain(chain: object, roots: tuple[x509.Certificate, ...]) -> Key:
    """Return the key of the first certificate of a chain that leads to a root.

    :param chain: the value of ``x5c``.
    :raises TokenRefused: it does not lead there, or has no key of a kind known here.
    """
    leaf, *others = _parse_chain(chain)
    if leaf in roots:
        _check_dates(leaf)
    else:
        _check_chain(leaf, others, roots)
    try:
        key = key_of(leaf.public_key())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if key is None:
        raise TokenRefused("the certificate's key is of an unknown kind")
    return key


def _parse_chain(chain: object) -> list[x509.Certificate]:
    if not isinstance(chain, list) or len(chain) > _LONGEST:
        raise TokenRefused("x5c is not a chain of certificates")
    try:
        return [
            x509.load_der_x509_certificate(base64.b64decode(each, validate=True))
            for each in chain
        ]
    except (ValueError, TypeError):
        raise TokenRefused("a certificate of x5c cannot be read") from None


def _check_dates(certificate: x509.Certificate) -> None:
    now = datetime.datetime.now(datetime.UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise TokenRefused("the certificate is not valid now")


def _check_chain(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    roots: tuple[x509.Certificate, ...],
) -> None:
    if not roots:
        raise TokenRefused("x5c leads to no root: there is no rootcertbundle")
    builder = PolicyBuilder().store(Store(list(roots))).max_chain_depth(_LONGEST)
    policies = builder.extension_policies(
        ca_policy=_issuers(), ee_policy=ExtensionPolicy.permit_all()
    )
    try:
        policies.build_client_verifier().verify(leaf, others)
    except (VerificationError, ValueError, UnsupportedAlgorithm):
        raise TokenRefused("x5c does not lead to a root of rootcertbundle") from None


def _issuers() -> ExtensionPolicy:
    """Return what a certificate has to be that signed another one."""
    any_way = Criticality.AGNOSTIC
    policy = ExtensionPolicy.permit_all()
    policy = policy.require_present(x509.BasicConstraints, any_way, _is_authority)
    return policy.may_be_present(x509.KeyUsage, any_way, _may_sign)


def _is_authority(
    policy: Policy, certificate: x509.Certificate, extension: x509.BasicConstraints
) -> None:
    del policy, certificate
    if not extension.ca:
        raise ValueError("not a certificate authority")


def _may_sign(
    policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None
) -> None:
    del policy, certificate
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("may not sign certificates")
