"""Who gets which certificate, by handshakes over sockets."""

import socket
import ssl
import threading
from contextlib import closing

import pytest
import trustme
from cryptography import x509
from flaskreg_acme import tls as module
from flaskreg_acme.keys import make_answer
from flaskreg_acme.tls import PROTOCOL
from flaskreg_acme.tls import AcmeTls
from flaskreg_acme.tls import offers

from flaskreg.config.tls import Tls


HOST, OTHER = "registry.example", "b.example"
DIGEST = bytes(range(32))


@pytest.fixture
def ca():
    return trustme.CA()


@pytest.fixture
def served(tmp_path):
    """What serves two hosts, of which none has a certificate yet."""
    section = {"cachefile": str(tmp_path / "c"), "hosts": [HOST, OTHER]}
    return AcmeTls(Tls(letsencrypt=section), ["http/1.1"], 30.0)


def issue(served, ca, host):
    """Put a certificate where it is served from."""
    leaf = ca.issue_cert(host)
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    path = served._folder.certificate(host)
    served._folder.write(path, leaf.private_key_pem.bytes() + chain)


def shake(served, client, name, *, pause=None):
    """Return the certificate that a client is shown, and what ALPN chose.

    :param pause: called after the first half of what the client says first.
    """
    ours, theirs = socket.socketpair()
    failures = []

    def accept():
        try:
            with served.context.wrap_socket(ours, server_side=True) as sock:
                sock.recv(1)
        except OSError as error:
            failures.append(error)
        finally:
            ours.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        to_us, from_us = ssl.MemoryBIO(), ssl.MemoryBIO()
        end = client.wrap_bio(to_us, from_us, server_hostname=name)
        with closing(theirs):
            theirs.settimeout(30)
            while True:
                try:
                    end.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    said = from_us.read()
                    half = len(said) // 2 if pause else 0
                    theirs.sendall(said[:half])
                    if pause:
                        pause()
                        pause = None
                    theirs.sendall(said[half:])
                    to_us.write(theirs.recv(65536))
            theirs.sendall(from_us.read())
            return end.getpeercert(True), end.selected_alpn_protocol()
    finally:
        thread.join(30)


def client_of(ca=None, protocols=()):
    """Return a client that trusts an authority, or whatever it is shown."""
    context = ssl.create_default_context()
    if ca is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        ca.configure_trust(context)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def test_each_host_shows_its_own(served, ca):
    """As soon as it is there; until then it is refused, and so are others."""
    for name in (HOST, OTHER, "c.example", None):
        with pytest.raises(ssl.SSLError):
            shake(served, client_of(), name)
    issue(served, ca, HOST)
    shown, chosen = shake(served, client_of(ca, ["http/1.1"]), HOST)
    assert chosen == "http/1.1"
    assert shake(served, client_of(ca), HOST.upper())[0] == shown
    with pytest.raises(ssl.SSLError):
        shake(served, client_of(), OTHER)
    issue(served, ca, OTHER)
    assert shake(served, client_of(ca), OTHER)[0] != shown
    assert shake(served, client_of(), None)[0] == shown
    with pytest.raises(ssl.SSLError):
        shake(served, client_of(), "c.example")


def test_a_renewed_certificate_is_shown(served, ca, monkeypatch):
    monkeypatch.setattr("flaskreg.tls.LOOK", 0.0)
    issue(served, ca, HOST)
    before = shake(served, client_of(ca), HOST)
    issue(served, ca, HOST)
    assert shake(served, client_of(ca), HOST) != before


def test_a_damaged_certificate_is_refused_until_it_is_replaced(served, ca):
    served._folder.write(served._folder.certificate(HOST), b"nothing")
    with pytest.raises(ssl.SSLError):
        shake(served, client_of(), HOST)
    issue(served, ca, HOST)
    assert shake(served, client_of(ca), HOST)


@pytest.mark.parametrize("has_certificate", [False, True])
def test_who_asks_for_an_answer_gets_it(served, ca, has_certificate):
    """And nobody else does, while there is one."""
    if has_certificate:
        issue(served, ca, HOST)
    served._folder.write(served._folder.challenge(HOST), make_answer(HOST, DIGEST))
    shown, chosen = shake(served, client_of(protocols=[PROTOCOL]), HOST)
    assert chosen == PROTOCOL
    oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
    extensions = x509.load_der_x509_certificate(shown).extensions
    assert extensions.get_extension_for_oid(oid).value.value[2:] == DIGEST
    for name in (OTHER, "c.example"):
        with pytest.raises(ssl.SSLError):
            shake(served, client_of(protocols=[PROTOCOL]), name)
    if has_certificate:
        assert shake(served, client_of(ca, ["http/1.1"]), HOST)[1] == "http/1.1"
    else:
        with pytest.raises(ssl.SSLError):
            shake(served, client_of(protocols=["http/1.1"]), HOST)


def test_a_question_that_comes_in_two_pieces(served):
    """The first one has the name, or has not."""
    served._folder.write(served._folder.challenge(HOST), make_answer(HOST, DIGEST))
    client = client_of(protocols=[PROTOCOL])
    wait = threading.Event()
    assert shake(served, client, HOST, pause=lambda: wait.wait(0.2))[1] == PROTOCOL


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"\x16\x03\x01\x00\x10" + b"\x0aacme-tls/1 more.", True),
        (b"\x16\x03\x01\x00\x10" + b"\x0aacme-tls/2 more.", False),
        (b"\x16\x03\x01\x00\x05" + b"hello and more", False),
        (b"GET / HTTP/1.1\r\n\r\n", False),
    ],
)
def test_what_a_client_offers(sent, found, monkeypatch):
    """What was looked at is still there to be read."""
    monkeypatch.setattr(module, "HANDSHAKE", 0.3)
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.settimeout(30)
        theirs.sendall(sent)
        assert offers(ours, PROTOCOL) is found
        assert ours.recv(100) == sent
        theirs.shutdown(socket.SHUT_WR)
        assert offers(ours, PROTOCOL) is False


def test_a_client_that_says_nothing_is_waited_for_no_longer_than_others():
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.settimeout(0.05)
        with pytest.raises(TimeoutError):
            offers(ours, PROTOCOL)
