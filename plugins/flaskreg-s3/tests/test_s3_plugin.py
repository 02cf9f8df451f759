"""The distribution: what pip installs, its parameters, and what they refuse."""

from __future__ import annotations

import pytest
from flaskreg_s3 import make_s3
from flaskreg_s3.endpoint import make_endpoint
from flaskreg_s3.parameters import NAMES
from flaskreg_s3.parameters import read_parameters

from flaskreg.config import ConfigError
from flaskreg.testing import PluginTests


BASE = {"bucket": "b", "region": "eu-central-1"}
DUAL = "b-b.s3.dualstack.eu-central-1.amazonaws.com"
LOCAL = {"bucket": "b", "regionendpoint": "http://127.0.0.1:9000"}


class TestS3Plugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "s3"
    distribution = "flaskreg-s3"
    parameters = NAMES

    def valid_parameters(self, name):
        """Return the parameters that have to be there."""
        del name
        return BASE


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"bucket": ""}, "bucket"),
        ({"bucket": None}, "bucket"),
        ({"bucket": ["b"]}, "bucket"),
        ({"region": None}, "region"),
        ({"region": "mars-1"}, "region"),
        ({"regionendpoint": "ftp://host"}, "regionendpoint"),
        ({"regionendpoint": "http://host/path"}, "regionendpoint"),
        ({"regionendpoint": "http://user@host"}, "regionendpoint"),
        ({"regionendpoint": "http://host:none"}, "regionendpoint"),
        ({"redirectendpoint": "cdn.example"}, "redirectendpoint"),
        ({"redirectendpoint": "https://cdn.example/v1"}, "redirectendpoint"),
        ({"redirectendpoint": "https://cdn.example?a=b"}, "redirectendpoint"),
        ({"accesskey": "a"}, "accesskey"),
        ({"secretkey": "hidden"}, "accesskey"),
        ({"secretkey": "hid\nden", "accesskey": "a"}, "secretkey"),
        ({"v4auth": False}, "v4auth"),
        ({"encrypt": "maybe"}, "encrypt"),
        ({"chunksize": 5 * 2**20 - 1}, "chunksize"),
        ({"chunksize": 5 * 2**30 + 1}, "chunksize"),
        ({"chunksize": "many"}, "chunksize"),
        ({"chunksize": 1e7}, "chunksize"),
        ({"multipartcopychunksize": 1}, "multipartcopychunksize"),
        ({"multipartcopymaxconcurrency": 0}, "multipartcopymaxconcurrency"),
        ({"multipartcopythresholdsize": -1}, "multipartcopythresholdsize"),
        ({"storageclass": "GLACIER"}, "storageclass"),
        ({"objectacl": "everybody"}, "objectacl"),
        ({"loglevel": "loud"}, "loglevel"),
        ({"buckets": "b"}, "buckets"),
    ],
)
def test_a_wrong_parameter_is_refused(given, named):
    """The error is one line that names it, under the name that was configured."""
    with pytest.raises(ConfigError) as caught:
        make_s3("storage.s3aws", {**BASE, **given})
    assert f"storage.s3aws.{named}" in str(caught.value)
    assert "hid" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_values_may_be_texts_as_the_environment_has_them():
    """Numbers and booleans come as texts from variables."""
    read = read_parameters(
        "s", {**BASE, "chunksize": "6291456", "secure": "false", "encrypt": "T"}
    )
    assert (read.chunksize, read.secure, read.encrypt) == (6291456, False, True)


@pytest.mark.parametrize(
    ("given", "secure", "host", "prefix"),
    [
        (BASE, True, "b-b.s3.eu-central-1.amazonaws.com", "/"),
        ({"forcepathstyle": True}, True, "s3.eu-central-1.amazonaws.com", "/b-b/"),
        ({"region": "cn-north-1"}, True, "b-b.s3.cn-north-1.amazonaws.com.cn", "/"),
        ({"usefipsendpoint": "1"}, True, "b-b.s3-fips.eu-central-1.amazonaws.com", "/"),
        ({"usedualstack": True}, True, DUAL, "/"),
        ({"accelerate": "true"}, True, "b-b.s3-accelerate.amazonaws.com", "/"),
        ({"secure": False}, False, "b-b.s3.eu-central-1.amazonaws.com", "/"),
        ({"regionendpoint": "minio:9000"}, True, "b-b.minio:9000", "/"),
        ({"regionendpoint": "m:9", "secure": False}, False, "b-b.m:9", "/"),
        ({"regionendpoint": "http://minio:9000"}, False, "b-b.minio:9000", "/"),
        ({"regionendpoint": "http://127.0.0.1:9"}, False, "127.0.0.1:9", "/b-b/"),
        ({"regionendpoint": "http://[::1]:9"}, False, "[::1]:9", "/b-b/"),
    ],
)  # fmt: skip
def test_where_a_bucket_answers(given, secure, host, prefix):
    """As distribution's client has it; an address has no names below it."""
    endpoint = make_endpoint(
        "s", read_parameters("s", {**BASE, **given, "bucket": "b-b"})
    )
    assert (endpoint.secure, endpoint.host, endpoint.prefix) == (secure, host, prefix)


def test_a_dotted_bucket_is_in_the_path_of_a_secure_endpoint():
    """No certificate is good for its host."""
    for secure, prefix in ((True, "/a.b/"), (False, "/")):
        given = {**BASE, "bucket": "a.b", "secure": secure}
        assert make_endpoint("s", read_parameters("s", given)).prefix == prefix


@pytest.mark.parametrize("root", ["", "/", "/some/root", "some/root/"])
def test_keys_are_those_of_distribution(root):
    """A root with and without slashes is one place."""
    driver = make_s3("s", {**LOCAL, "rootdirectory": root})
    stem = root.strip("/")
    assert driver.key("/docker/link") == f"{stem}/docker/link".lstrip("/")
    assert driver.object_key("/docker/link") == driver.key("/docker/link")


def test_a_redirect_goes_to_the_public_endpoint():
    """Scheme and host are replaced before it is signed; nobody is asked anything."""
    given = {**LOCAL, "accesskey": "AK", "secretkey": "SK"}
    inner = make_s3("s", given)
    outer = make_s3("s", {**given, "redirectendpoint": "https://cdn.example:8443/"})
    assert inner.redirect("/a", "GET").startswith("http://127.0.0.1:9000/b/a?")
    assert outer.redirect("/a", "GET").startswith("https://cdn.example:8443/b/a?")
    assert "X-Amz-Expires=1200" in outer.redirect("/a", "HEAD")
    assert outer.redirect("/a", "PUT") is None


def test_credentials_come_from_the_default_chain(monkeypatch):
    """The environment is a part of it; a session token goes with the keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "CHAINED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/of+it")
    url = make_s3("s", LOCAL).redirect("/a", "GET")
    assert "X-Amz-Credential=CHAINED%2F" in url
    assert "X-Amz-Security-Token=token%2Fof%2Bit" in url
