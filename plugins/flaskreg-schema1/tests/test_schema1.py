"""Signed manifests: verified, taken apart, put together, and over HTTP."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from flaskreg_schema1 import PayloadType
from flaskreg_schema1.jws import MOST
from flaskreg_schema1.jws import ManifestUnverified
from flaskreg_schema1.jws import put_together
from flaskreg_schema1.jws import take_apart
from flaskreg_schema1.repository import SIGNED

from flaskreg.digest import Digest
from flaskreg.errors import ManifestInvalid
from flaskreg.mediatypes import DOCKER_SCHEMA1
from flaskreg.testing import ManifestTypeTests
from flaskreg.testing import PluginTests
from flaskreg.testing.live import serve


HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"ES256": ("P-256", ec.SECP256R1()), "ES384": ("P-384", ec.SECP384R1())}
CURVES["ES512"] = ("P-521", ec.SECP521R1())


def b64(content):
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def payload(*layers, name="team/app", tag="latest"):
    """Return a payload as docker writes it."""
    document = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": "amd64",
        "fsLayers": [{"blobSum": Digest.of(layer)} for layer in layers],
        "history": [{"v1Compatibility": "{}"} for _ in layers],
    }
    return json.dumps(document, indent=3).encode()


class Key:
    """A key that signs as libtrust does."""

    def __init__(self, algorithm):
        self.algorithm = algorithm
        if algorithm.startswith("ES"):
            self.name, curve = CURVES[algorithm]
            self.key = ec.generate_private_key(curve)
            self.half = (curve.key_size + 7) // 8
        else:
            self.key = rsa.generate_private_key(65537, 2048)

    def jwk(self):
        """Return the public key."""
        numbers = self.key.public_key().public_numbers()
        if self.algorithm.startswith("ES"):
            x, y = (b64(it.to_bytes(self.half)) for it in (numbers.x, numbers.y))
            return {"crv": self.name, "kty": "EC", "x": x, "y": y}
        n = b64(numbers.n.to_bytes(256))
        return {"kty": "RSA", "n": n, "e": b64(numbers.e.to_bytes(3))}

    def signature(self, content, **protected):
        """Return a signature of a payload, as a member of ``signatures``."""
        tail = b"\n}"
        header = {
            "formatLength": len(content) - len(tail),
            "formatTail": b64(tail),
            "time": "2015-07-01T00:00:00Z",
            **protected,
        }
        encoded = b64(json.dumps(header).encode())
        signed = f"{encoded}.{b64(content)}".encode()
        digest = HASHES[self.algorithm[2:]]
        if self.algorithm.startswith("ES"):
            r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(digest)))
            raw = r.to_bytes(self.half) + s.to_bytes(self.half)
        else:
            raw = self.key.sign(signed, padding.PKCS1v15(), digest)
        return {
            "header": {"jwk": self.jwk(), "alg": self.algorithm},
            "signature": b64(raw),
            "protected": encoded,
        }


def with_signatures(content, *signatures):
    """Return a payload with signatures in it."""
    assert content.endswith(b"\n}")
    block = json.dumps(list(signatures)).encode()
    return content[:-2] + b',\n   "signatures": ' + block + b"\n}"


def apart(content):
    """Take a document apart."""
    return take_apart(content, json.loads(content))


@pytest.fixture(scope="module", params=["ES256", "ES384", "ES512", "RS256", "RS512"])
def key(request):
    """Return a key of each kind."""
    return Key(request.param)


@pytest.fixture(scope="module")
def other():
    """Return another key."""
    return Key("ES256")


class TestPayload(ManifestTypeTests):
    """Everything that the contract of manifest types promises."""

    has_subject = False

    @pytest.fixture
    def parser(self):
        """Return the type."""
        return PayloadType()

    @pytest.fixture
    def valid(self):
        """Return payloads."""
        return [payload(b"one"), payload(b"two", b"one", b"two")]

    @pytest.fixture
    def invalid(self):
        """Return what is none."""
        good = json.loads(payload(b"one"))
        changes = [
            {"schemaVersion": 2},
            {"schemaVersion": True},
            {"name": None},
            {"tag": 5},
            {"fsLayers": []},
            {"fsLayers": [{"blobSum": "sha256:x"}]},
            {"fsLayers": [{}]},
            {"history": []},
            {"history": [{"v1Compatibility": "{}"}] * 2},
        ]
        return [json.dumps({**good, **change}).encode() for change in changes]


def test_layers_are_listed_once():
    """In the order of the manifest."""
    content = payload(b"two", b"one", b"two")
    digest = Digest.of(content)
    manifest = PayloadType().parse(content, json.loads(content), digest)
    assert [each.digest for each in manifest.blobs] == [
        Digest.of(b"two"),
        Digest.of(b"one"),
    ]


class TestSchema1Plugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "schema1"
    distribution = "flaskreg-schema1"


# Signatures


def test_a_signed_manifest_is_taken_apart_and_put_together(key, other):
    """By every algorithm; the payload is what was signed, byte by byte."""
    content = payload(b"one")
    signatures = [key.signature(content), other.signature(content)]
    signed = apart(with_signatures(content, *signatures))
    assert signed.payload == content
    assert [json.loads(each) for each in signed.signatures] == signatures
    again = put_together(content, signed.signatures)
    assert json.loads(again)["signatures"] == signatures
    assert apart(again) == signed


@pytest.mark.parametrize("what", ["payload", "key", "signature", "algorithm", "length"])
def test_what_was_changed_is_refused(key, other, what):
    """Whatever of it was."""
    content = payload(b"one")
    signature = key.signature(content)
    if what == "payload":
        content = content.replace(b"latest", b"newest")
    elif what == "key":
        signature["header"]["jwk"] = other.jwk()
    elif what == "signature":
        raw = bytearray(base64.urlsafe_b64decode(signature["signature"] + "=="))
        raw[-1] ^= 1
        signature["signature"] = b64(bytes(raw))
    elif what == "algorithm":
        signature["header"]["alg"] = "none"
    else:
        longer = key.signature(content, formatLength=len(content) + 1000)
        signature["protected"] = longer["protected"]
    with pytest.raises(ManifestUnverified):
        apart(with_signatures(content, signature))


def test_one_wrong_signature_is_one_too_many(key, other):
    """All of them have to be good."""
    content = payload(b"one")
    wrong = other.signature(payload(b"two"))
    with pytest.raises(ManifestUnverified):
        apart(with_signatures(content, key.signature(content), wrong))


def test_what_is_signed_has_to_be_what_is_said(key):
    """A member that stands behind the signatures is not signed."""
    content = payload(b"one")
    signed = with_signatures(content, key.signature(content))
    changed = signed[:-2] + b', "tag": "other"\n}'
    with pytest.raises((ManifestInvalid, ManifestUnverified)):
        apart(changed)


@pytest.mark.parametrize(
    "junk",
    [
        None,
        [],
        {},
        "text",
        [None],
        [5],
        [{}],
        [{"protected": "!"}],
        [{"protected": "e30"}],
        [{"protected": b64(b"[]")}],
        [[]],
    ],
)
def test_junk_in_place_of_signatures(junk):
    """It is refused as unverified."""
    document = {**json.loads(payload(b"one")), "signatures": junk}
    with pytest.raises(ManifestUnverified):
        take_apart(json.dumps(document).encode(), document)


def test_too_many_signatures(other):
    """Each of them costs something."""
    content = payload(b"one")
    signatures = [other.signature(content)] * (MOST + 1)
    with pytest.raises(ManifestUnverified):
        apart(with_signatures(content, *signatures))


def test_damaged_signatures_are_left_out(other):
    """When there is a good one; without one there is no manifest."""
    content = payload(b"one")
    good = json.dumps(other.signature(content)).encode()
    junk = [b"", b"no json", b"{}", b"[]", b"\xff", b'{"protected": "e30"}']
    document = json.loads(put_together(content, [*junk, good]))
    assert document["signatures"] == [json.loads(good)]
    with pytest.raises(ManifestUnverified):
        put_together(content, junk)


# HTTP


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry with the plugin, which is installed and named nowhere."""
    folder = tmp_path_factory.mktemp("registry")
    storage = {"filesystem": {"rootdirectory": str(folder / "root")}}
    storage["delete"] = {"enabled": True}
    with serve({"storage": storage}, folder) as served:
        served.push_blob("team/app", b"one")
        yield served


def put(registry, content, reference="latest", media_type=SIGNED, name="team/app"):
    """Push a manifest."""
    headers = {"Content-Type": media_type} if media_type else {}
    path = f"/v2/{name}/manifests/{reference}"
    return registry.call("PUT", path, content, headers)


@pytest.mark.live
@pytest.mark.parametrize("media_type", [SIGNED, DOCKER_SCHEMA1, "application/json", ""])
def test_push_and_pull(registry, other, media_type):
    """As each generation of clients says what it pushes."""
    content = payload(b"one")
    answer = put(
        registry,
        with_signatures(content, other.signature(content)),
        media_type=media_type,
    )
    assert answer.status == 201, answer
    digest = Digest.of(content)
    assert answer.headers["docker-content-digest"] == digest
    for reference in ("latest", digest):
        pulled = registry.call("GET", f"/v2/team/app/manifests/{reference}")
        assert pulled.headers["content-type"] == SIGNED
        assert pulled.headers["docker-content-digest"] == digest
        assert apart(pulled.body).payload == content
        head = registry.call("HEAD", f"/v2/team/app/manifests/{reference}")
        assert head.headers["content-length"] == str(len(pulled.body))


@pytest.mark.live
def test_signatures_add_up(registry):
    """Who signs again does not change the digest."""
    content = payload(b"one", tag="twice")
    signatures = [Key("ES256").signature(content) for _ in range(2)]
    for signature in signatures:
        signed = with_signatures(content, signature)
        assert put(registry, signed, "twice").status == 201
    pulled = registry.call("GET", "/v2/team/app/manifests/twice")
    found = json.loads(pulled.body)["signatures"]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, signatures))
    assert pulled.headers["docker-content-digest"] == Digest.of(content)


@pytest.mark.live
def test_delete_takes_the_signatures(registry, other):
    """A push of the same payload begins with its own alone."""
    content = payload(b"one", tag="gone")
    signed = with_signatures(content, other.signature(content))
    assert put(registry, signed, "gone").status == 201
    path = f"/v2/team/app/manifests/{Digest.of(content)}"
    assert registry.call("DELETE", path).status == 202
    assert registry.call("GET", path).status == 404
    again = with_signatures(content, Key("ES384").signature(content))
    assert put(registry, again, "gone").status == 201
    pulled = registry.call("GET", path)
    assert len(json.loads(pulled.body)["signatures"]) == 1


@pytest.mark.live
@pytest.mark.parametrize(
    ("change", "reference", "code"),
    [
        ({}, "other", "TAG_INVALID"),
        ({"name": "team/other"}, "latest", "MANIFEST_INVALID"),
        ({"layers": (b"missing",)}, "latest", "MANIFEST_BLOB_UNKNOWN"),
        ({"unsigned": True}, "latest", "MANIFEST_UNVERIFIED"),
    ],
)
def test_what_is_refused(registry, other, change, reference, code):
    """With the codes of that time."""
    content = payload(
        *change.get("layers", (b"one",)), name=change.get("name", "team/app")
    )
    signed = content
    if "unsigned" not in change:
        signed = with_signatures(content, other.signature(content))
    answer = put(registry, signed, reference)
    assert answer.status == 400
    assert answer.json()["errors"][0]["code"] == code


@pytest.mark.live
def test_other_manifests_are_left_as_they_are(registry):
    """Nothing of them passes through here."""
    digest = registry.push_image("team/app", "oci", b"a layer")
    pulled = registry.call("GET", "/v2/team/app/manifests/oci")
    assert Digest.of(pulled.body) == digest


@pytest.mark.live
def test_without_the_plugin_nothing_is_taken(tmp_path, other):
    """It is off unless it is installed, and may be switched off then."""
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "root")}}
    config = {"storage": storage, "plugins": {"disabled": ["schema1"]}}
    content = payload(b"one")
    signed = with_signatures(content, other.signature(content))
    with serve(config, tmp_path) as served:
        served.push_blob("team/app", b"one")
        answer = put(served, signed)
        assert answer.status == 400
        assert answer.json()["errors"][0]["code"] == "MANIFEST_INVALID"
