"""When certificates are obtained, and what of files and failures."""

import logging
import os
import stat
import threading
import time
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flaskreg_acme.folder import Folder
from flaskreg_acme.keys import Validity
from flaskreg_acme.keys import make_answer
from flaskreg_acme.keys import make_key
from flaskreg_acme.keys import make_request
from flaskreg_acme.keys import pem_of
from flaskreg_acme.keys import validity_of
from flaskreg_acme.renewer import LONGEST
from flaskreg_acme.renewer import LOOK
from flaskreg_acme.renewer import Renewer


HOST = "registry.example"
DAY = timedelta(days=1)


def certificate_of(host=HOST, *, left=timedelta(days=90), lifetime=90 * DAY):
    """Return a file's content: a key and its certificate."""
    key, now = make_key(), datetime.now(UTC)
    name = x509.Name([])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 7)
        .not_valid_before(now + left - lifetime)
        .not_valid_after(now + left)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .sign(key, hashes.SHA256())
    )
    return pem_of(key) + signed.public_bytes(Encoding.PEM)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "certificates")


class Issuer:
    """Writes certificates, unless it is told to fail."""

    def __init__(self, folder):
        self.folder, self.asked, self.failure = folder, [], None

    def __call__(self, host):
        self.asked.append(host)
        if self.failure is not None:
            raise self.failure
        self.folder.write(self.folder.certificate(host), certificate_of(host))


@pytest.fixture
def issuer(folder):
    return Issuer(folder)


def test_a_missing_certificate_is_obtained_once(folder, issuer):
    renewer = Renewer(folder, [HOST, "b.example"], issuer)
    for host in (HOST, "b.example"):
        assert renewer.attend(host) == LOOK
        assert renewer.attend(host) == LOOK
    assert issuer.asked == [HOST, "b.example"]


@pytest.mark.parametrize(
    ("left", "lifetime", "renewed"),
    [
        (31 * DAY, 90 * DAY, False),
        (29 * DAY, 90 * DAY, True),
        (31 * DAY, 397 * DAY, False),
        (29 * DAY, 397 * DAY, True),
        (3 * DAY, 6 * DAY, False),
        (1.9 * DAY, 6 * DAY, True),
        (-1 * DAY, 90 * DAY, True),
    ],
)
def test_a_certificate_is_renewed_ahead_of_its_end(
    folder, issuer, left, lifetime, renewed
):
    """Thirty days, or a third of its time when that is less."""
    content = certificate_of(left=left, lifetime=lifetime)
    folder.write(folder.certificate(HOST), content)
    Renewer(folder, [HOST], issuer).attend(HOST)
    assert bool(issuer.asked) is renewed


def test_it_waits_until_then():
    """And no longer than that, or an hour."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert Validity(now, now + 90 * DAY).renewal == now + 60 * DAY
    assert Validity(now, now + 6 * DAY).renewal == now + 4 * DAY
    assert Validity(now, now + 397 * DAY).renewal == now + 367 * DAY


def test_the_wait_is_short_for_a_certificate_that_is(folder, issuer):
    lifetime = timedelta(seconds=90)
    content = certificate_of(left=lifetime, lifetime=lifetime)
    folder.write(folder.certificate(HOST), content)
    assert 50 < Renewer(folder, [HOST], issuer).attend(HOST) <= 60


def of_another_key():
    good = certificate_of()
    return pem_of(make_key()) + good[good.index(b"-----BEGIN CERT") :]


def nameless():
    authority = trustme.CA()
    return authority.private_key_pem.bytes() + authority.cert_pem.bytes()


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"nothing",
        lambda: certificate_of()[:200],
        lambda: certificate_of()[:-60],
        lambda: certificate_of("b.example"),
        of_another_key,
        nameless,
    ],
    ids=[
        "empty",
        "text",
        "half a key",
        "half",
        "another host",
        "another key",
        "no name",
    ],
)
def test_what_is_damaged_is_replaced(folder, issuer, make, caplog):
    """It is told why."""
    folder.write(folder.certificate(HOST), make())
    Renewer(folder, [HOST], issuer).attend(HOST)
    assert issuer.asked == [HOST]
    assert f"the certificate of {HOST} is no use" in caplog.text
    validity_of(folder.read(folder.certificate(HOST)), HOST)


def test_failures_are_told_and_tried_again_ever_later(folder, issuer, caplog):
    """One line each; a host that fails keeps no other from its certificate."""
    issuer.failure = OSError("the line is down")
    renewer = Renewer(folder, [HOST], issuer, pause=0.02)
    waits = []
    for _ in range(4):
        waits.append(renewer.attend(HOST))
        assert renewer.attend(HOST) <= waits[-1]
        time.sleep(waits[-1])
    assert waits == pytest.approx([0.02, 0.06, 0.18, 0.54])
    assert len(issuer.asked) == 4
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 4
    assert all("the line is down" in line and "\n" not in line for line in told)
    issuer.failure = None
    assert renewer.attend(HOST) == LOOK
    assert renewer._failures == {}


def test_no_wait_is_longer_than_an_hour(folder, issuer):
    issuer.failure = OSError()
    renewer = Renewer(folder, [HOST], issuer)
    renewer._failures[HOST] = 10_000
    assert renewer.attend(HOST) == LONGEST


def test_a_failure_leaves_the_old_certificate(folder, issuer):
    content = certificate_of(left=DAY)
    folder.write(folder.certificate(HOST), content)
    issuer.failure = OSError()
    Renewer(folder, [HOST], issuer).attend(HOST)
    assert folder.read(folder.certificate(HOST)) == content


def test_it_runs_until_it_is_told_to_end(folder, issuer):
    """What a process that was killed left of a challenge goes first."""
    folder.write(folder.challenge(HOST), b"left")
    ending = threading.Event()
    renewer = Renewer(folder, [HOST], issuer)
    thread = threading.Thread(target=renewer.run, args=(ending,))
    thread.start()
    deadline = time.monotonic() + 30
    while not issuer.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    ending.set()
    thread.join(30)
    assert not thread.is_alive()
    assert not folder.challenge(HOST).exists()
    assert issuer.asked == [HOST]


# Files


def test_files_are_whole_or_not_there(folder):
    """And nobody else's to read, whatever the process lets others do."""
    before = os.umask(0)
    try:
        path = folder.certificate(HOST)
        assert folder.read(path) is None
        folder.write(path, b"one")
        folder.write(path, b"two")
    finally:
        os.umask(before)
    assert folder.read(path) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in folder.path.iterdir()] == [HOST]
    with pytest.raises(OSError, match="[Dd]irectory"):
        folder.write(folder.path, b"in place of the folder")
    assert [each.name for each in folder.path.iterdir()] == [HOST]


# Keys


def test_a_file_is_as_autocert_writes_it():
    """A key of P-256 in SEC 1's form, then the chain."""
    lines = certificate_of().decode().splitlines()
    marks = [line for line in lines if line.startswith("-----BEGIN")]
    assert marks == ["-----BEGIN EC PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----"]


def test_a_request_names_the_host_alone():
    request = x509.load_pem_x509_csr(make_request(HOST, make_key()))
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [HOST]
    assert request.is_signature_valid


def test_an_answer_is_as_the_rfc_wants_it():
    """RFC 8737, section 3: one name, and a critical extension with the digest."""
    digest = bytes(range(32))
    content = make_answer(HOST, digest)
    (certificate,) = x509.load_pem_x509_certificates(content)
    key = load_pem_private_key(content, None)
    assert certificate.public_key() == key.public_key()
    oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
    extension = certificate.extensions.get_extension_for_oid(oid)
    assert extension.critical
    assert extension.value.value == b"\x04\x20" + digest
    validity_of(content, HOST)


def test_the_log_is_the_registry_s(folder, issuer, caplog):
    with caplog.at_level(logging.INFO, "flaskreg"):
        Renewer(folder, [HOST], issuer).attend(HOST)
    assert f"a new certificate of {HOST} is there" in caplog.text
