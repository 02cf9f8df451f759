"""Client certificates: whose they are, and what goes before them."""

from __future__ import annotations

import pytest
from flaskreg_policy.certificates import CertificateReader
from flaskreg_policy.certificates import CertificateSettings
from policy_site import allow
from policy_site import basic
from policy_site import bearer


CERTIFICATE = {
    "subject": (
        (("organizationName", "Example"),),
        (("organizationalUnitName", "builders"),),
        (("commonName", "node-1"),),
    ),
    "subjectAltName": (
        ("DNS", "node-1.example.com"),
        ("email", "ops@example.com"),
        ("URI", "spiffe://example.com/node"),
        ("URI", "spiffe://example.com/other"),
    ),
}
TAGS = "team/a/tags/list"


class Socket:
    """A TLS connection with a client certificate, as gunicorn hands it on."""

    def __init__(self, certificate):
        self._certificate = certificate

    def getpeercert(self):
        return self._certificate

    def gettimeout(self):
        """Return the limit that was set; none was."""

    def settimeout(self, seconds):
        del seconds


@pytest.mark.parametrize(
    ("settings", "name", "groups"),
    [
        ({}, "node-1", set()),
        ({"prefix": "tls:"}, "tls:node-1", set()),
        ({"user": "dns"}, "node-1.example.com", set()),
        ({"user": "email", "groups": "ou"}, "ops@example.com", {"builders"}),
        ({"groups": "o"}, "node-1", {"Example"}),
    ],
)
def test_whose_it_is(settings, name, groups):
    """The CN, or a name of one kind."""
    reader = CertificateReader(CertificateSettings(**settings))
    identity = reader.identify(CERTIFICATE)
    assert (identity.name, identity.groups) == (name, groups)


@pytest.mark.parametrize(
    ("settings", "certificate"),
    [
        ({}, None),
        ({}, {}),
        ({}, {"subject": ((("commonName", ""),),)}),
        ({}, {"subject": ((("commonName", "a"), ("commonName", "b")),)}),
        ({"user": "uri"}, CERTIFICATE),
        ({"hosts": ["node-1"]}, CERTIFICATE),
    ],
)
def test_nobody_s(settings, certificate):
    """No name, several names, and a name that is set apart."""
    reader = CertificateReader(CertificateSettings(**settings))
    assert reader.identify(certificate) is None


@pytest.fixture
def site(make_site):
    """Return a registry that reads certificates."""
    rules = [allow("team/*", "node-1", "pull"), allow("own/*", "alice")]
    return make_site(rules=rules, mtls={"user": "cn"})


def call(site, path, headers=None):
    """Send a request with the certificate."""
    environ = {"gunicorn.socket": Socket(CERTIFICATE)}
    return site.call("GET", path, headers, environ_overrides=environ)


def test_a_request_with_a_certificate(site):
    """It is good without more; who lacks a right is denied."""
    assert call(site, "").status_code == 200
    assert call(site, TAGS).status_code == 404
    assert call(site, "other/tags/list").status_code == 403
    assert site.call("GET", TAGS).status_code == 401


def test_credentials_go_before_a_certificate(site):
    """Wrong ones are wrong, whatever certificate there is."""
    assert call(site, TAGS, basic("a", "b")).status_code == 401
    assert call(site, TAGS, site.login("alice")).status_code == 403
    assert call(site, "own/a/tags/list", site.login("alice")).status_code == 404


def test_a_token_for_a_certificate(site):
    """The endpoint gives one to whoever shows it."""
    answer = site.client.get(
        "/auth/token?service=flaskreg&scope=repository:team/a:pull",
        environ_overrides={"gunicorn.socket": Socket(CERTIFICATE)},
    )
    token = bearer(answer.json["token"])
    assert site.call("GET", TAGS, token).status_code == 404
