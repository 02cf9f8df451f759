"""The cache on real servers: the public suite, and what breaks."""

from __future__ import annotations

import socket
from contextlib import closing
from contextlib import contextmanager

import pytest
from flaskreg_redis import make_redis_cache
from redis_servers import RedisServer
from redis_servers import wait_for

from flaskreg.testing import DescriptorCacheTests
from flaskreg.testing.caches import ONE
from flaskreg.testing.caches import TWO
from flaskreg.testing.live import free_port


pytestmark = pytest.mark.live

#: a busy machine is not a dead server.
PATIENT = {"dialtimeout": 30.0, "readtimeout": 30.0}


def make(section):
    """Return a cache that waits for its server, unless the section says otherwise."""
    return make_redis_cache({**PATIENT, **section})


@contextmanager
def silent_server():
    """A server that takes connections, and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


class RedisCacheTests(DescriptorCacheTests):
    """What holds for every kind of server."""

    shared = True
    has_backend = True
    #: distribution's keys keep the size in the registry's descriptor alone.
    clears_apart = False

    @pytest.fixture
    def cache(self, parameters):
        """Return a cache on the server."""
        return make(parameters)

    @pytest.fixture
    def other_cache(self, parameters):
        """Return another cache on the same server."""
        return make(parameters)

    @pytest.fixture(params=["nobody", "silence"])
    def broken_cache(self, parameters, request):
        """Return a cache whose server does not answer."""
        with silent_server() as address:
            if request.param == "nobody":
                address = f"127.0.0.1:{free_port()}"
            addresses = [address for _ in parameters["addrs"]]
            quick = {"dialtimeout": 0.1, "readtimeout": 0.1}
            yield make({**parameters, **quick, "addrs": addresses})


class TestOneServer(RedisCacheTests):
    """One server without a password."""

    @pytest.fixture(params=[2, 3])
    def parameters(self, empty_server, request):
        """Return the section, for both protocols."""
        return {"addrs": [empty_server.address], "protocol": request.param}


class TestTls(RedisCacheTests):
    """A server that wants TLS, and to know the client."""

    @pytest.fixture
    def parameters(self, tls_server, authority):
        """Return the section."""
        with closing(tls_server.client()) as client:
            client.flushall()
        tls = {
            "certificate": str(authority / "client.pem"),
            "key": str(authority / "client.key"),
            "rootcas": [str(authority / "ca.pem")],
        }
        return {"addrs": [tls_server.address], "tls": tls}


class TestCluster(RedisCacheTests):
    """Several addresses without the name of a master."""

    @pytest.fixture
    def parameters(self, cluster):
        """Return the section."""
        for server in cluster:
            with closing(server.client()) as client:
                client.flushall()
        return {"addrs": [server.address for server in cluster[:2]]}


class TestSentinel(RedisCacheTests):
    """A sentinel that knows the server; the password is the server's."""

    @pytest.fixture
    def parameters(self, sentinel):
        """Return the section."""
        watcher, master = sentinel
        with closing(master.client(password="of the server")) as client:
            client.flushall()
        return {
            "addrs": [watcher.address],
            "mastername": "registry",
            "password": "of the server",
        }


def test_a_server_whose_certificate_is_not_known_is_a_miss(tls_server, caplog):
    """It is not asked, and told no password."""
    parameters = {"addrs": [tls_server.address], "tls": {"key": "/half"}}
    with closing(make(parameters)) as cache:
        cache.set(ONE.digest, ONE)
        assert cache.stat(ONE.digest) is None
    assert "certificate verify failed" in caplog.text


@pytest.mark.parametrize("password", [None, "canary"])
def test_a_wrong_password_is_a_miss(sentinel, caplog, password):
    """With one line in the log, that does not tell it."""
    _, master = sentinel
    given = {} if password is None else {"password": password}
    with closing(make({"addrs": [master.address], **given})) as cache:
        cache.set(ONE.digest, ONE)
        assert cache.stat(ONE.digest) is None
    assert caplog.text.count("does not answer") == 1
    assert "canary" not in caplog.text


def test_a_user_with_a_password_another_database_and_a_name(empty_server):
    """As the section says."""
    with closing(empty_server.client()) as client:
        client.acl_setuser(
            "registry", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all"]
        )
        section = {
            "addrs": [empty_server.address],
            "username": "registry",
            "password": "p",
            "db": 3,
            "clientname": "registry-1",
            "identitysuffix": "here",
        }
        with closing(make(section)) as cache:
            cache.set(ONE.digest, ONE)
            (own,) = [it for it in client.client_list() if it["name"] == "registry-1"]
        client.acl_deluser("registry")
        assert (own["db"], own["user"]) == ("3", "registry")
        assert client.dbsize() == 0
        with closing(empty_server.client(db=3)) as there:
            assert there.keys() == [f"blobs::{ONE.digest}"]


def test_a_unix_socket(tmp_path):
    """An address that begins with a slash."""
    path = tmp_path / "redis.sock"
    server = RedisServer(tmp_path, "--unixsocket", str(path)).start()
    with closing(make({"addrs": [str(path)]})) as cache:
        cache.set(ONE.digest, ONE)
        assert cache.stat(ONE.digest) == ONE
    server.stop()


def test_the_keys_are_distributions(empty_server):
    """Hashes and a set, by distribution's names."""
    with closing(make({"addrs": [empty_server.address]})) as cache:
        cache.set(ONE.digest, ONE, "team/app")
        with closing(empty_server.client()) as client:
            assert client.hgetall(f"blobs::{ONE.digest}") == {
                "digest": ONE.digest,
                "size": "3",
                "mediatype": "application/x-test",
            }
            assert client.smembers("repository::team/app::blobs") == {ONE.digest}
            own = f"repository::team/app::blobs::{ONE.digest}"
            assert client.hgetall(own) == {"mediatype": "application/x-test"}
            cache.clear(ONE.digest, "team/app")
            assert client.keys() == []


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("blobs::{0}", ("hdel", "size")),
        ("blobs::{0}", ("hdel", "mediatype")),
        ("blobs::{0}", ("hdel", "digest")),
        ("blobs::{0}", ("hset", "size", "-1")),
        ("blobs::{0}", ("hset", "size", "9" * 100)),
        ("blobs::{0}", ("hset", "digest", "sha256:xyz")),
        ("repository::team/app::blobs::{0}", ("hset", "mediatype", "")),
        ("repository::team/app::blobs::{0}", ("hset", "mediatype", b"\xff")),
        ("repository::team/app::blobs::{0}", ("delete",)),
        ("repository::team/app::blobs", ("delete",)),
        ("blobs::{0}", ("delete",)),
        ("blobs::{0}", ("set", "text")),
        ("repository::team/app::blobs", ("set", "text")),
    ],
)
def test_what_is_left_of_an_eviction_is_a_miss(empty_server, key, change):
    """Each key may vanish alone, or hold what nobody of us wrote."""
    if change == ("hdel", "mediatype"):
        key = "repository::team/app::blobs::{0}"
    with closing(make({"addrs": [empty_server.address]})) as cache:
        cache.set(ONE.digest, ONE, "team/app")
        with closing(empty_server.client()) as client:
            name, *values = change
            getattr(client, name)(key.format(ONE.digest), *values)
        assert cache.stat(ONE.digest, "team/app") is None
        cache.set(TWO.digest, TWO)
        assert cache.stat(TWO.digest) == TWO


def test_a_server_without_memory_answers_what_it_knows(empty_server, caplog):
    """It is not taken for a dead one."""
    with closing(make({"addrs": [empty_server.address]})) as cache:
        cache.set(ONE.digest, ONE)
        with closing(empty_server.client()) as client:
            client.config_set("maxmemory", "1")
            cache.set(TWO.digest, TWO)
            assert cache.stat(ONE.digest) == ONE
            assert cache.stat(TWO.digest) is None
            client.config_set("maxmemory", "0")
    assert "does not answer" not in caplog.text


def test_a_server_that_went_and_came_back(tmp_path):
    """What it knew is lost; who was told that it is gone finds it again."""
    server = RedisServer(tmp_path).start()
    with closing(make({"addrs": [server.address]})) as cache:
        cache.set(ONE.digest, ONE)
        server.stop()
        assert cache.stat(ONE.digest) is None
        cache.set(ONE.digest, ONE)
        server.start()

        def known_again():
            cache.set(ONE.digest, ONE)
            return cache.stat(ONE.digest) == ONE

        wait_for(known_again)
    server.stop()


def test_a_restart_between_two_calls_is_not_noticed(tmp_path, caplog):
    """Connections of the pool that the server closed are not used."""
    server = RedisServer(tmp_path).start()
    with closing(make({"addrs": [server.address]})) as cache:
        cache.set(ONE.digest, ONE)
        server.stop()
        server.start()
        cache.set(ONE.digest, ONE)
        assert cache.stat(ONE.digest) == ONE
    assert "does not answer" not in caplog.text
    server.stop()


def test_a_dead_server_is_asked_once(caplog):
    """Then it is left alone: a hundred requests do not wait a hundred times."""
    with silent_server() as address:
        section = {"addrs": [address], "dialtimeout": 0.1, "readtimeout": 0.1}
        with closing(make(section)) as cache:
            asked = []
            connect = cache._connect
            cache._connect = lambda: asked.append(1) or connect()
            for _ in range(100):
                assert cache.stat(ONE.digest) is None
            assert asked == [1]
    assert caplog.text.count("does not answer") == 1
