"""Real servers of Redis, as processes of their own."""

from __future__ import annotations

import shutil
import subprocess
import time

import redis

from flaskreg.testing.live import free_port


class RedisServer:
    """One process of redis-server."""

    def __init__(self, folder, *options, port=None, file=None, tls=None):
        self.folder = folder
        self.port = port or free_port()
        self.options = options
        self.file = file
        self.tls = tls
        self.process = None

    @property
    def address(self):
        """Return what stands in ``redis.addrs``."""
        return f"127.0.0.1:{self.port}"

    def client(self, **options):
        """Return a client of the tests' own."""
        if self.tls is not None:
            options |= {"ssl": True, "ssl_ca_certs": str(self.tls / "ca.pem")}
            options |= {"ssl_certfile": str(self.tls / "client.pem")}
            options |= {"ssl_keyfile": str(self.tls / "client.key")}
        options = {"decode_responses": True, "protocol": 2, **options}
        return redis.Redis("127.0.0.1", self.port, **options)

    def start(self):
        """Start it, and return when it answers."""
        binary = shutil.which("redis-server")
        assert binary, "redis-server is not installed (apt install redis-server)"
        port = ["--port", str(self.port)]
        if self.tls is not None:
            port = ["--port", "0", "--tls-port", str(self.port)]
        head = [binary, *([str(self.file)] if self.file else []), *port]
        common = ["--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        with (self.folder / f"redis-{self.port}.log").open("ab") as out:
            self.process = subprocess.Popen(
                [*head, *common, *self.options],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )
        try:
            wait_for(self._answers)
        except BaseException:
            self.stop()
            raise
        return self

    def _answers(self):
        assert self.process.poll() is None, "redis-server ended"
        client = self.client()
        try:
            return client.ping()
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False
        finally:
            client.close()

    def stop(self):
        """End it as a lost machine would."""
        self.process.kill()
        self.process.wait(20)


def wait_for(call, seconds=30):
    """Call until what it returns is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = call()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{call} was not true in {seconds} s")
