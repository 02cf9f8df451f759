"""A registry with certificates of Pebble, as clients and the authority see it."""

import io
import json
import os
import shutil
import signal
import ssl
import stat
import subprocess
import tarfile
import time

import pytest
import requests
import trustme
from flaskreg_acme.folder import ACCOUNT

from flaskreg.digest import Digest


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_certificate_is_obtained_and_clients_use_it(make_registry, tmp_path):
    """It is kept in files that nobody else reads, and no key is in the log."""
    registry = make_registry(idletimeout="20s")
    registry.start()
    registry.wait(lambda: registry.serves("localhost"))
    root = tmp_path / "trusted" / "ca.crt"
    root.parent.mkdir()
    root.write_text(registry.pebble.root())
    base = f"https://localhost:{registry.port}/v2/"
    assert requests.get(base, verify=root, timeout=30).status_code == 200
    content = os.urandom(2 << 20)
    digest = Digest.of(content)
    url = f"{base}a/blobs/uploads/?digest={digest}"
    assert requests.post(url, content, verify=root, timeout=30).status_code == 201
    pulled = requests.get(f"{base}a/blobs/{digest}", verify=root, timeout=30)
    assert pulled.content == content
    files = {path.name: mode_of(path) for path in registry.cache.iterdir()}
    assert files == dict.fromkeys(("localhost", ACCOUNT, "flaskreg.lock"), 0o600)
    assert mode_of(registry.cache) == 0o700
    for name in ("localhost", ACCOUNT):
        key = (registry.cache / name).read_text().splitlines()[1]
        assert key not in registry.told()
    assert "PRIVATE KEY" not in registry.told()


def test_skopeo_pushes_and_pulls(make_registry, tmp_path):
    """With Pebble's root for its only trust."""
    skopeo = shutil.which("skopeo")
    assert skopeo, "apt-get install skopeo"
    registry = make_registry()
    registry.start()
    registry.wait(lambda: registry.serves("localhost"))
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "ca.crt").write_text(registry.pebble.root())
    layout, back = tmp_path / "layout", tmp_path / "back"
    make_image(layout)
    remote = f"docker://localhost:{registry.port}/team/app:v1"
    for source, target, side in (
        (f"oci:{layout}:v1", remote, "dest"),
        (remote, f"oci:{back}:v1", "src"),
    ):
        command = [skopeo, "copy", "--preserve-digests"]
        command += [f"--{side}-cert-dir={trusted}", source, target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + registry.told()
    blobs = "blobs/sha256"
    assert set(os.listdir(back / blobs)) == set(os.listdir(layout / blobs))


def make_image(layout):
    """Write an OCI layout of one small layer."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(media_type, content):
        digest = Digest.of(content)
        (blobs / digest.partition(":")[2]).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("data")
        entry.size = 3 << 20
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    layer = put("application/vnd.oci.image.layer.v1.tar", packed.getvalue())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(
            "application/vnd.oci.image.config.v1+json", json.dumps(config).encode()
        ),
        "layers": [layer],
    }
    told = put(manifest["mediaType"], json.dumps(manifest).encode())
    told["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    index = {"schemaVersion": 2, "manifests": [told]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def test_a_second_start_orders_nothing(make_registry):
    """What is in the folder is served at once, by every worker."""
    registry = make_registry()
    registry.start()
    registry.wait(lambda: registry.serves("localhost"))
    before = registry.shown("localhost")
    registry.stop()
    registry.start()
    assert registry.shown("localhost") == before
    time.sleep(2)
    assert registry.pebble.orders() == 1
    assert registry.told().count("a new certificate of localhost") == 1


def test_each_host_has_its_own_certificate(make_registry):
    """By the name that a client asks for; who says none gets the first."""
    registry = make_registry(["localhost", "registry.test"])
    registry.start()
    for host in ("localhost", "registry.test"):
        registry.wait(lambda host=host: registry.serves(host))
    assert registry.shown("localhost") != registry.shown("registry.test")
    context = registry.pebble.trusting()
    context.check_hostname = False
    assert {registry.shake(context, None)[0]} == registry.shown("localhost")


def test_other_names_are_refused(make_registry):
    """No certificate is asked for, and none shown."""
    registry = make_registry()
    registry.start()
    registry.wait(lambda: registry.serves("localhost"))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name in ("other.test", "localhost.test", "flaskreg.lock"):
        with pytest.raises(ssl.SSLError):
            registry.shake(context, name)
    assert registry.pebble.orders() == 1


def test_a_certificate_is_renewed_while_clients_are_served(make_registry):
    """By one process, and used by all of them before the old one ends."""
    seconds = 45
    registry = make_registry(seconds=seconds)
    registry.start()
    registry.wait(lambda: registry.serves("localhost"))
    begun = time.monotonic()
    first = registry.shown("localhost")
    assert len(first) == 1
    # Every handshake of this time verifies the certificate, its end included.
    while time.monotonic() < begun + 1.5 * seconds:
        last = registry.shown("localhost", times=4)
        time.sleep(0.1)
    assert not last & first
    assert 2 <= registry.pebble.orders() <= 4


def test_the_old_certificate_goes_on_without_the_authority(make_registry):
    """The log says in one line that there is no new one, and when it is tried again."""
    registry = make_registry(seconds=12)
    registry.start()
    registry.wait(lambda: registry.serves("localhost"))
    trusting = registry.pebble.trusting()
    registry.pebble.stop()
    registry.wait(lambda: "no new certificate of localhost" in registry.told())
    assert registry.shake(trusting, "localhost")
    (line,) = [it for it in registry.told().splitlines() if "no new certificate" in it]
    assert "tried again in 60 s" in line
    time.sleep(10)
    trusting.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME
    assert registry.shake(trusting, "localhost")


def test_handshakes_are_refused_until_there_is_a_certificate(make_registry):
    """A SIGHUP asks at once, when the reason is gone."""
    registry = make_registry()
    registry.pebble.stop()
    registry.start()
    registry.wait(lambda: "no new certificate of localhost" in registry.told())
    context = ssl.create_default_context()
    for host in ("localhost", None):
        context.check_hostname = bool(host)
        with pytest.raises(ssl.SSLError):
            registry.shake(context, host)
    registry.pebble.start()
    registry.process.send_signal(signal.SIGHUP)
    registry.wait(lambda: registry.serves("localhost"))


def test_it_goes_with_http2_and_client_certificates(make_registry, tmp_path):
    """The challenge is answered though its client has no certificate."""
    clients = trustme.CA()
    clients.cert_pem.write_to_path(tmp_path / "clients.pem")
    tls = {"clientcas": [str(tmp_path / "clients.pem")], "minimumtls": "tls1.3"}
    registry = make_registry(tls=tls)
    registry.start()
    registry.wait(lambda: (registry.cache / "localhost").exists())
    context = registry.pebble.trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    clients.issue_cert("alice@example.com").configure_cert(context)
    assert registry.shake(context, "localhost")[1] == "h2"
    url = f"https://localhost:{registry.port}/v2/"
    (tmp_path / "ca.pem").write_text(registry.pebble.root())
    with pytest.raises(requests.RequestException):
        requests.get(url, verify=tmp_path / "ca.pem", timeout=30)


@pytest.fixture
def distribution():
    """The command of distribution 3."""
    named = os.environ.get("FLASKREG_DISTRIBUTION") or shutil.which("registry")
    assert named, "FLASKREG_DISTRIBUTION names no program"
    return [named]


def test_distribution_goes_on_with_the_folder(make_registry, distribution):
    """It serves what is there, and orders nothing."""
    registry = make_registry(["registry.test"], workers=None)
    registry.start()
    registry.wait(lambda: registry.serves("registry.test"))
    before = registry.shown("registry.test")
    registry.stop()
    registry.start(distribution)
    assert registry.shown("registry.test") == before
    assert registry.pebble.orders() == 1


def test_a_folder_of_distribution_is_gone_on_with(make_registry, distribution):
    """Its account is ours.

    It stays without a certificate here: its client and Pebble disagree about where an
    order is that is being worked on.
    """
    registry = make_registry(["registry.test"], workers=None)
    registry.start(distribution)
    registry.serves("registry.test")
    registry.stop()
    account = (registry.cache / ACCOUNT).read_bytes()
    assert "There are now 1 accounts" in registry.pebble.told()
    registry.start()
    registry.wait(lambda: registry.serves("registry.test"))
    assert (registry.cache / ACCOUNT).read_bytes() == account
    assert "There are now 2 accounts" not in registry.pebble.told()
