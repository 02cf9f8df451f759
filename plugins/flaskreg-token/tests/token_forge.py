"""Makes tokens of any kind, good ones and forged ones, by hand where it matters."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import hmac
import json
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey
from joserfc.jwk import OctKey
from joserfc.jwk import OKPKey
from joserfc.jwk import RSAKey

from flaskreg.access import Access


ISSUER = "https://issuer.example.com"
SERVICE = "registry.example.com"
NAME = "team/app"
PULL = Access("repository", NAME, "pull")

NAMES = st.from_regex(r"[a-z0-9]{1,4}(/[a-z0-9]{1,4}){0,2}", fullmatch=True)
ACCESSES = st.builds(
    Access,
    st.sampled_from(["repository", "registry"]),
    NAMES,
    st.sampled_from(["pull", "push", "delete", "*"]),
)


def encode(data):
    """Return base64url without padding."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes):
    """Return good claims; a change to ``None`` leaves one out."""
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": SERVICE,
        "exp": now + 300,
        "nbf": now,
        "iat": now,
        "access": [{"type": "repository", "name": NAME, "actions": ["pull", "push"]}],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


class Forge:
    """Keys by kind, of which all public halves are trusted, and foreign ones."""

    def __init__(self):
        self.keys = self.make_keys()

    @functools.cached_property
    def foreign(self):
        """Return keys of the same kinds and ids that nobody trusts."""
        return self.make_keys()

    @staticmethod
    def make_keys():
        """Return a key of each kind."""
        return {
            "rsa": RSAKey.generate_key(2048, {"kid": "rsa"}),
            "p256": ECKey.generate_key("P-256", {"kid": "p256"}),
            "p384": ECKey.generate_key("P-384", {"kid": "p384"}),
            "p521": ECKey.generate_key("P-521", {"kid": "p521"}),
            "ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed25519"}),
            "oct": OctKey.generate_key(512, {"kid": "oct"}),
        }

    def jwks(self):
        """Return what is trusted, as a list of JSON Web Keys."""
        return [
            key.as_dict(private=key.key_type == "oct") for key in self.keys.values()
        ]

    def sign(self, header, payload, key):
        """Return a token; header and payload may be any bytes or JSON values."""
        data = f"{encode(header)}.{encode(payload)}"
        model = jws.JWSRegistry.algorithms[header["alg"]]
        return f"{data}.{encode(model.sign(data.encode(), key))}"

    def token(self, kind="p256", alg="ES256", header=None, **changes):
        """Return a token of a trusted key."""
        whole = {"typ": "JWT", "alg": alg, "kid": kind, **(header or {})}
        whole = {name: value for name, value in whole.items() if value is not None}
        return self.sign(whole, claims(**changes), self.keys[kind])


def hmac_token(header, payload, secret):
    """Return a token by HMAC, whatever the secret is."""
    data = f"{encode(header)}.{encode(payload)}"
    digest = hmac.new(secret, data.encode(), hashlib.sha256).digest()
    return f"{data}.{encode(digest)}"


def certificate(name, key, issuer=None, signer=None, *, ca=False, days=1, depth=None):
    """Return a certificate of a key, signed by another one or by itself."""
    now = datetime.datetime.now(datetime.UTC)
    common = x509.NameOID.COMMON_NAME
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(common, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(common, issuer or name)]))
        .public_key(key.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca, depth), critical=True)
    )
    return builder.sign((signer or key).private_key, hashes.SHA256())


def chain_of(*certificates):
    """Return the value of ``x5c``."""
    ders = [each.public_bytes(Encoding.DER) for each in certificates]
    return [base64.b64encode(der).decode() for der in ders]


def pem_of(*certificates):
    """Return a bundle."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def parts(token):
    """Return the header and the claims of a token."""
    return [
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for part in token.split(".")[:2]
    ]
