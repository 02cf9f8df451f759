"""CloudFront: signatures verified by the public key, ranges, options, HTTP."""

from __future__ import annotations

import base64
import ipaddress
import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from flaskreg_cloudfront.options import KEYS
from flaskreg_cloudfront.options import wrap_cloudfront
from flaskreg_cloudfront.ranges import AwsRanges
from flaskreg_cloudfront.ranges import Networks
from werkzeug.serving import make_server

from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.config import ConfigError
from flaskreg.config import load_settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driverwrapper import DriverWrapper
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.testing import PluginTests
from flaskreg.testing.live import LiveRegistry
from flaskreg.testing.live import fetch


PATH = "/docker/registry/v2/blobs/sha256/ab/abcd/data"
GET = ContentRequest("GET", client="192.0.2.1")


class Bucket(DriverWrapper):
    """A driver whose content has keys, and signed URLs, in a bucket."""

    name = "bucket"

    def object_key(self, path):
        """Return the key, below a folder with a space."""
        return f"my root{path}"

    def hand_over(self, path, request):
        """Return the bucket's own URL."""
        del request
        return Handover(f"https://bucket.example.org{path}")


@pytest.fixture(scope="module")
def key():
    """Return a private key."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(params=["TraditionalOpenSSL", "PKCS8"])
def pem(key, request, tmp_path):
    """Return the name of the key's file, in both forms."""
    form = getattr(serialization.PrivateFormat, request.param)
    clear = serialization.NoEncryption()
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, clear))
    return str(file)


@pytest.fixture
def options(pem):
    """Return the options that have to be there."""
    return {"baseurl": "d123.cloudfront.net", "privatekey": pem, "keypairid": "K2JCJM"}


def verify(key, url):
    """Check a URL as CloudFront does; return what was signed and the query."""
    parts = urlsplit(url)
    query = {name: value for name, (value,) in parse_qs(parts.query).items()}
    encoded = query["Signature"].translate(str.maketrans("-_~", "+=/"))
    resource = parts._replace(query="").geturl()
    policy = (
        f'{{"Statement":[{{"Resource":"{resource}","Condition":'
        f'{{"DateLessThan":{{"AWS:EpochTime":{query["Expires"]}}}}}}}]}}'
    )
    key.public_key().verify(
        base64.b64decode(encoded, validate=True),
        policy.encode(),
        padding.PKCS1v15(),
        hashes.SHA1(),
    )
    return resource, query


class TestCloudFrontPlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "cloudfront"
    distribution = "flaskreg-cloudfront"
    parameters = KEYS

    @pytest.fixture(autouse=True)
    def _given(self, options):
        self.options = options

    def valid_parameters(self, name):
        """Return the options that have to be there."""
        del name
        return self.options


# URLs


@pytest.mark.parametrize(
    ("base", "before"),
    [
        ("d123.cloudfront.net", "https://d123.cloudfront.net/"),
        ("https://cdn.example.org/", "https://cdn.example.org/"),
        ("http://cdn.example.org:8080/a/b", "http://cdn.example.org:8080/a/b/"),
    ],
)
def test_the_signature_is_good(key, options, base, before):
    """By the public key, over the very URL, for as long as is said."""
    driver = wrap_cloudfront(Bucket(InMemoryDriver()), {**options, "baseurl": base})
    now = time.time()
    resource, query = verify(key, driver.hand_over(PATH, GET).url)
    assert resource == f"{before}my%20root{PATH}"
    assert query["Key-Pair-Id"] == "K2JCJM"
    assert now + 1200 - 1 <= int(query["Expires"]) <= time.time() + 1200
    assert query.keys() == {"Expires", "Signature", "Key-Pair-Id"}


@pytest.mark.parametrize("changed", ["path", "expires"])
def test_a_changed_url_is_not_good(key, options, changed):
    """Neither another file nor a longer time."""
    driver = wrap_cloudfront(Bucket(InMemoryDriver()), options)
    url = driver.hand_over(PATH, GET).url
    if changed == "path":
        url = url.replace("abcd", "abce")
    else:
        expires = parse_qs(urlsplit(url).query)["Expires"][0]
        url = url.replace(expires, str(int(expires) + 1))
    with pytest.raises(InvalidSignature):
        verify(key, url)


@pytest.mark.parametrize(
    ("duration", "seconds"), [("1h30m", 5400), ("90s", 90), (60 * 10**9, 60)]
)
def test_the_duration(key, options, duration, seconds):
    """As Go writes it, or in nanoseconds."""
    given = {**options, "duration": duration}
    driver = wrap_cloudfront(Bucket(InMemoryDriver()), given)
    _, query = verify(key, driver.hand_over(PATH, GET).url)
    assert abs(int(query["Expires"]) - time.time() - seconds) < 30


def test_redirects_may_be_off(options):
    """``storage.redirect.disable`` is left to the driver."""
    driver = wrap_cloudfront(InMemoryDriver(), options)
    request = ContentRequest("GET", redirects=False)
    assert driver.hand_over(PATH, request) is None


def test_a_driver_without_a_bucket_is_warned_of(options, caplog):
    """Its own URLs stay, as in distribution."""
    driver = wrap_cloudfront(InMemoryDriver(), options)
    assert driver.hand_over(PATH, GET) is None
    assert "the storage driver inmemory has no bucket" in caplog.text


# Ranges

RANGES = {
    "prefixes": [
        {"ip_prefix": "192.0.2.0/25", "region": "us-east-1", "service": "AMAZON"},
        {"ip_prefix": "198.51.100.0/24", "region": "EU-WEST-1", "service": "EC2"},
    ],
    "ipv6_prefixes": [
        {"ipv6_prefix": "2001:db8::/48", "region": "us-east-1", "service": "EC2"}
    ],
}


@pytest.fixture
def publisher():
    """Return a server that publishes ranges, and what it publishes."""
    published = {"content": json.dumps(RANGES).encode(), "status": 200, "asked": 0}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            published["asked"] += 1
            self.send_response(published["status"])
            self.end_headers()
            self.wfile.write(published["content"])

        def log_message(self, *args):
            del args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    published["url"] = f"http://127.0.0.1:{server.server_port}/ip-ranges.json"
    yield published
    server.shutdown()
    thread.join()
    server.server_close()


def wait_until(call, seconds=30):
    """Call until what it returns is true."""
    deadline = time.monotonic() + seconds
    while not call():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("filtered", "inside", "outside"),
    [
        (
            {"ipfilteredby": "aws"},
            ["192.0.2.1", "198.51.100.9", "2001:db8::1", "::ffff:192.0.2.1"],
            ["192.0.2.200", "203.0.113.1", "2001:db9::1", "", "unix"],
        ),
        (
            {"ipfilteredby": "awsregion", "awsregion": "eu-west-1, ap-east-1"},
            ["198.51.100.9"],
            ["192.0.2.1", "2001:db8::1"],
        ),
    ],
)
def test_clients_inside_of_aws_go_to_the_bucket(
    key, options, publisher, filtered, inside, outside
):
    """Once the ranges are there; before that, nobody does."""
    given = {**options, **filtered, "iprangesurl": publisher["url"]}
    driver = wrap_cloudfront(Bucket(InMemoryDriver()), given)
    assert publisher["asked"] == 0, "making it does no input or output"

    def url_for(client):
        return driver.hand_over(PATH, ContentRequest("GET", client=client)).url

    verify(key, url_for(inside[0])) if publisher["asked"] == 0 else None
    wait_until(lambda: url_for(inside[0]).startswith("https://bucket.example.org/"))
    for client in inside:
        assert url_for(client).startswith("https://bucket.example.org/")
    for client in outside:
        verify(key, url_for(client))
    driver.close()


def test_ranges_are_fetched_again(publisher):
    """After the interval; the thread ends with the driver."""
    ranges = AwsRanges(publisher["url"], (), 0.05)
    wait_until(lambda: "192.0.2.1" in ranges)
    publisher["content"] = b'{"prefixes": []}'
    wait_until(lambda: "192.0.2.1" not in ranges)
    ranges.close()
    wait_until(
        lambda: all(it.name != "flaskreg-cloudfront" for it in threading.enumerate())
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"[]",
        b'{"prefixes": 5}',
        b'{"prefixes": [5]}',
        b'{"prefixes": [{"ip_prefix": "x"}]}',
        b'{"prefixes": [{}]}',
    ],
)
def test_what_are_no_ranges_leaves_those_that_are_known(publisher, content):
    """Whatever somebody publishes there."""
    ranges = AwsRanges(publisher["url"], (), 3600)
    ranges.fetch()
    publisher["content"] = content
    with pytest.raises(ValueError):
        ranges.fetch()
    assert ipaddress.ip_address("192.0.2.1") in ranges._networks


def test_ranges_that_cannot_be_had_are_logged(publisher, caplog):
    """And everybody goes to CloudFront."""
    publisher["status"] = 500
    ranges = AwsRanges(publisher["url"], (), 3600)
    assert "192.0.2.1" not in ranges
    wait_until(lambda: "the ranges of AWS are not known" in caplog.text)
    assert "192.0.2.1" not in ranges
    ranges.close()


def test_networks():
    """By the longest and the shortest prefix."""
    networks = Networks(["10.0.0.0/8", "192.0.2.7/32", "::/0"])
    inside = ("10.255.0.1", "192.0.2.7", "2001:db8::1")
    outside = ("11.0.0.1", "192.0.2.6", "0.0.0.1")
    assert all(ipaddress.ip_address(each) in networks for each in inside)
    assert not any(ipaddress.ip_address(each) in networks for each in outside)


# Options


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"baseurl": None}, "baseurl"),
        ({"baseurl": "https://a/?b"}, "baseurl"),
        ({"baseurl": "ftp://a"}, "baseurl"),
        ({"baseurl": "https:///a"}, "baseurl"),
        ({"keypairid": None}, "keypairid"),
        ({"keypairid": "a&b"}, "keypairid"),
        ({"privatekey": None}, "privatekey"),
        ({"privatekey": "/missing"}, "No such file"),
        ({"duration": "soon"}, "duration"),
        ({"duration": 0}, "duration"),
        ({"ipfilteredby": "country"}, "ipfilteredby"),
        ({"ipfilteredby": "awsregion"}, "awsregion"),
        ({"ipfilteredby": "aws", "iprangesurl": "file:///etc/passwd"}, "iprangesurl"),
        ({"updatefrequency": "often"}, "updatefrequency"),
        ({"privatkey": "a"}, "did you mean"),
    ],
)
def test_wrong_options_are_named(options, change, named):
    """In one line."""
    with pytest.raises(ConfigError) as caught:
        wrap_cloudfront(Bucket(InMemoryDriver()), {**options, **change})
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["none", "elliptic", "encrypted"])
def test_other_keys_are_refused(options, tmp_path, key, kind):
    """And nothing of them is told."""
    file = tmp_path / "other.pem"
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    clear = serialization.NoEncryption()
    contents = {
        "none": lambda: b"canary",
        "elliptic": lambda: ec.generate_private_key(ec.SECP256R1()).private_bytes(
            pem, form, clear
        ),
        "encrypted": lambda: key.private_bytes(
            pem, form, serialization.BestAvailableEncryption(b"canary")
        ),
    }
    file.write_bytes(contents[kind]())
    with pytest.raises(ConfigError) as caught:
        wrap_cloudfront(InMemoryDriver(), {**options, "privatekey": str(file)})
    assert "canary" not in str(caught.value)
    assert "privatekey" in str(caught.value)


# HTTP


def test_over_http(key, options, tmp_path):
    """Configured by config.yml, around a driver that a plugin offers."""
    entry = {"name": "cloudfront", "options": options}
    file = tmp_path / "config.yml"
    config = {
        "version": "0.1",
        "storage": {"bucket": {}},
        "middleware": {"storage": [entry]},
    }
    file.write_text(json.dumps(config))

    class Plugin:
        @hookimpl
        def flaskreg_register_drivers(self):
            return {"bucket": lambda _: Bucket(InMemoryDriver())}

    app = create_app(load_settings(str(file), environ={}), (Plugin(),))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        log = tmp_path / "log"
        log.touch()
        url = f"http://127.0.0.1:{server.server_port}"
        digest = LiveRegistry(url, log, None).push_blob("team/app", b"content")
        answer = fetch("GET", f"{url}/v2/team/app/blobs/{digest}")
        assert answer.status == 307
        resource, _ = verify(key, answer.headers["location"])
        assert resource.startswith("https://d123.cloudfront.net/my%20root/docker/")
        assert resource.endswith(f"{digest.partition(':')[2]}/data")
        assert fetch("GET", f"{url}/v2/team/other/blobs/{digest}").status == 404
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
