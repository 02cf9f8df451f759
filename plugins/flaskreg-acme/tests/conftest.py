"""A certificate authority, and registries that ask it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import yaml
from pebble import Pebble

from flaskreg.testing.live import free_port


FLASKREG = [sys.executable, "-c", "from flaskreg.cli import main; main()"]


class Registry:
    """A registry that gets its certificates from Pebble."""

    def __init__(self, folder, pebble, port, hosts, **http):
        self.folder, self.pebble, self.port, self.hosts = folder, pebble, port, hosts
        self.cache = folder / "certificates"
        letsencrypt = {
            "cachefile": str(self.cache),
            "email": "admin@registry.test",
            "hosts": hosts,
            "directoryurl": pebble.url,
        }
        section = {"addr": f"127.0.0.1:{port}", "workers": 2, **http}
        section = {name: value for name, value in section.items() if value is not None}
        section["tls"] = {"letsencrypt": letsencrypt, **http.get("tls", {})}
        self.config = folder / "config.yml"
        storage = {"filesystem": {"rootdirectory": str(folder / "registry")}}
        whole = {"version": "0.1", "storage": storage, "http": section}
        whole["log"] = {"level": "debug"}
        self.config.write_text(yaml.safe_dump(whole))
        self.log = folder / "registry.log"
        self.process = None

    def start(self, command=FLASKREG):
        """Start it; what it does about certificates comes when it comes."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "serve", str(self.config)],
                env=kept | self.pebble.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self.wait(self.listens)

    def stop(self):
        """End it as an operator does."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

    def told(self):
        """Return its log."""
        return self.log.read_text()

    def wait(self, true, seconds=180):
        """Wait until something holds, though an order fails once on a busy machine."""
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < deadline, self.told() + self.pebble.told()
            time.sleep(0.05)

    def listens(self):
        """Whether somebody listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def shake(self, context, host):
        """Return the certificate that is shown for a host, and what ALPN chose.

        :raises ssl.SSLError: the handshake fails.
        """
        with (
            socket.create_connection(("127.0.0.1", self.port), 30) as raw,
            context.wrap_socket(raw, server_hostname=host) as sock,
        ):
            return sock.getpeercert(True), sock.selected_alpn_protocol()

    def serves(self, host):
        """Whether a host has a certificate that who trusts Pebble trusts."""
        try:
            return bool(self.shake(self.pebble.trusting(), host))
        except ssl.SSLError:
            return False

    def shown(self, host, times=8):
        """Return the certificates that a host shows to several connections."""
        context = self.pebble.trusting()
        return {self.shake(context, host)[0] for _ in range(times)}


@pytest.fixture
def make_registry(tmp_path):
    """Return a function that makes a registry and its authority; neither is shared."""
    made = []

    def make(hosts=("localhost",), seconds=90 * 86400, **http):
        port = free_port()
        pebble = Pebble(tmp_path / "pebble", port, seconds)
        registry = Registry(tmp_path, pebble, port, list(hosts), **http)
        made.append(registry)
        return registry

    yield make
    for registry in made:
        registry.stop()
        registry.pebble.stop()
        told = registry.log.read_text() if registry.log.exists() else ""
        assert "Traceback (most recent call last)" not in told, told
