"""The section ``redis``: what is read from it, and what is wrong in it."""

from __future__ import annotations

import pytest
from flaskreg_redis import WITHOUT_EFFECT
from flaskreg_redis import make_redis_cache
from flaskreg_redis.clients import parse_address

from flaskreg import create_app
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.config.redis import Redis
from flaskreg.testing import PluginTests


class TestRedisPlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "redis"
    distribution = "flaskreg-redis"
    parameters = tuple(Redis.model_fields)

    def valid_parameters(self, name):
        """Return the parameter that has to be there."""
        del name
        return {"addrs": ["127.0.0.1:6379"]}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("redis:6380", "redis", 6380),
        ("redis", "redis", 6379),
        ("[::1]:6380", "::1", 6380),
        ("[::1]", "::1", 6379),
        ("10.0.0.1:1", "10.0.0.1", 1),
    ],
)
def test_addresses(text, host, port):
    """The port may be left out."""
    assert parse_address(text, "redis.addrs[0]") == (host, port)


@pytest.mark.parametrize(
    "text", ["", ":6379", "a:0", "a:65536", "a:x", "a:\u0661", "a:123456789"]
)
def test_wrong_addresses(text):
    """They are named with their place."""
    with pytest.raises(ConfigError, match=r"redis\.addrs\[2\].*host:port"):
        parse_address(text, "redis.addrs[2]")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "redis.addrs"),
        ({"addrs": []}, "redis.addrs"),
        ({"addrs": ["a:x"]}, "redis.addrs[0]"),
        ({"addrs": ["a", "b:x"]}, "redis.addrs[1]"),
        ({"addrs": ["a", "b:x"], "mastername": "m"}, "redis.addrs[1]"),
        ({"addrs": ["a", "b"], "db": 1}, "redis.db"),
        ({"addrs": ["a"], "db": "x"}, "redis.db"),
        ({"addrs": ["a"], "protocol": 4}, "redis.protocol"),
        ({"addrs": ["a"], "adr": 4}, "did you mean redis.addrs?"),
        ({"addrs": ["a"], "identitysuffix": "a b"}, "redis.identitysuffix"),
        ({"addrs": ["a"], "tls": {"rootcas": ["/missing"]}}, "redis.tls.rootcas[0]"),
        (
            {"addrs": ["a"], "tls": {"certificate": "/missing", "key": "/missing"}},
            "redis.tls.certificate",
        ),
    ],
)
def test_wrong_parameters_are_named(parameters, named):
    """In one line."""
    with pytest.raises(ConfigError) as caught:
        make_redis_cache(parameters)
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_certificate_is_told_at_once(tmp_path):
    """Not with the first request."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"redis\.tls\.rootcas"):
        make_redis_cache({"addrs": ["a"], "tls": {"rootcas": [str(file)]}})


@pytest.mark.parametrize("key", ["certificate", "key"])
def test_half_a_client_certificate_is_warned_of(caplog, key):
    """And TLS is spoken without it, as distribution does."""
    make_redis_cache({"addrs": ["a"], "tls": {key: "/somewhere"}})
    assert "no client certificate" in caplog.text


def test_what_has_no_effect_is_named(caplog):
    """Each key, when it is set."""
    values = {key: Redis.model_fields[key].default for key in WITHOUT_EFFECT}
    make_redis_cache({"addrs": ["a"], **values})
    for key in WITHOUT_EFFECT:
        assert f"redis.{key}: accepted, but has no effect" in caplog.text


def load(tmp_path, text):
    """Return the settings of a file with this text."""
    file = tmp_path / "config.yml"
    file.write_text(f"version: 0.1\n{text}")
    return load_settings(str(file), environ={})


def test_a_redis_cache_without_a_redis_is_refused(tmp_path):
    """At the start, in one line."""
    text = "storage: {inmemory: , cache: {blobdescriptor: redis}}\n"
    with pytest.raises(ConfigError, match=r"redis\.addrs"):
        create_app(load(tmp_path, text))


def test_options_of_the_cache_are_refused(tmp_path):
    """Its parameters have a section of their own."""
    cache = "{blobdescriptor: redis, options: {addrs: [a]}}"
    text = f"storage: {{inmemory: , cache: {cache}}}\nredis: {{addrs: [a]}}\n"
    with pytest.raises(ConfigError, match=r"storage\.cache\.options\.addrs"):
        create_app(load(tmp_path, text))


def test_a_size_is_warned_of(tmp_path, caplog):
    """Redis itself is told how much it may remember."""
    cache = "{blobdescriptor: redis, blobdescriptorsize: 5}"
    text = f"storage: {{inmemory: , cache: {cache}}}\nredis: {{addrs: [a]}}\n"
    create_app(load(tmp_path, text))
    assert "blobdescriptorsize: has no effect" in caplog.text


def test_another_cache_is_left_to_others():
    """The hook answers for its own name alone."""
    app = create_app(Settings.model_validate({"storage": {"driver": "inmemory"}}))
    assert app.driver.name == "inmemory"


def test_no_secret_is_logged_or_shown(caplog):
    """Neither by the cache nor in an error."""
    cache = make_redis_cache({"addrs": ["127.0.0.1:1"], "password": "canary"})
    cache.clear("sha256:00", "team/app")
    assert "canary" not in caplog.text + repr(cache) + repr(vars(cache))
    assert "127.0.0.1:1" in caplog.text
