"""Pebble, the test server of Let's Encrypt, and the name server that it asks."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from flaskreg.testing.live import free_port


MODULE = "github.com/letsencrypt/pebble/v2/cmd"
VERSION = "v2.10.1"


def programs():
    """Return the paths of Pebble and of its name server, built when they are missing.

    ``FLASKREG_PEBBLE`` names the first; the other lies beside it.
    """
    named = os.environ.get("FLASKREG_PEBBLE")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    pebble = Path(named) if named else cache / "flaskreg-live" / "pebble"
    names = pebble.with_name("pebble-challtestsrv")
    if not (pebble.exists() and names.exists()):
        go = shutil.which("go")
        if named or go is None:
            pytest.fail(f"{pebble} is missing: go install {MODULE}/...@{VERSION}")
        pebble.parent.mkdir(parents=True, exist_ok=True)
        wanted = [f"{MODULE}/{each}@{VERSION}" for each in ("pebble", names.name)]
        environ = os.environ | {"GOBIN": str(pebble.parent)}
        command = [go, "install", "-buildvcs=false", *wanted]
        subprocess.run(command, env=environ, check=True, timeout=900)
    return pebble, names


class Pebble:
    """A certificate authority that looks for challenges at one port.

    :param folder: where its files go.
    :param port: of the registry, where Let's Encrypt takes 443.
    :param seconds: for how long its certificates hold.
    """

    def __init__(self, folder, port, seconds=90 * 86400):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port, self.management = free_port(), free_port()
        self.own = trustme.CA()
        self.own.cert_pem.write_to_path(folder / "pebble-ca.pem")
        leaf = self.own.issue_cert("127.0.0.1")
        leaf.private_key_pem.write_to_path(folder / "pebble-key.pem")
        leaf.cert_chain_pems[0].write_to_path(folder / "pebble-cert.pem")
        (folder / "pebble.json").write_text(
            json.dumps(
                {
                    "pebble": {
                        "listenAddress": f"127.0.0.1:{self.port}",
                        "managementListenAddress": f"127.0.0.1:{self.management}",
                        "certificate": str(folder / "pebble-cert.pem"),
                        "privateKey": str(folder / "pebble-key.pem"),
                        "httpPort": free_port(),
                        "tlsPort": port,
                        "keyAlgorithm": "ecdsa",
                        "profiles": {
                            "default": {
                                "description": "for tests",
                                "validityPeriod": seconds,
                            }
                        },
                    }
                }
            )
        )
        self._stack = ExitStack()
        self.log = folder / "pebble.log"
        self.start()

    @property
    def url(self):
        """Return where its directory is."""
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def environ(self):
        """Return what makes clients of requests and of Go trust its own certificate."""
        own = str(self.folder / "pebble-ca.pem")
        return {"REQUESTS_CA_BUNDLE": own, "SSL_CERT_FILE": own}

    def start(self):
        """Start it, with a name server that has one address for all names."""
        pebble, names = programs()
        dns = free_port()
        self._run(
            names, "-dnsserver", f"127.0.0.1:{dns}", "-defaultIPv6", "", "-http01", "",
            "-https01", "", "-doh", "", "-tlsalpn01", "",
            "-management", f"127.0.0.1:{free_port()}",
        )  # fmt: skip
        options = ["-config", self.folder / "pebble.json"]
        options += ["-dnsserver", f"127.0.0.1:{dns}"]
        self._run(pebble, *options)
        for _ in range(600):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", self.management)):
                    return
            time.sleep(0.05)
        raise AssertionError(self.told())

    def _run(self, *command):
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [str(each) for each in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PEBBLE_VA_NOSLEEP": "1"},
            )
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.terminate)

    def stop(self):
        """End both."""
        self._stack.close()

    def told(self):
        """Return its log."""
        return self.log.read_text()

    def orders(self):
        """Return how many certificates it has issued."""
        return self.told().count("Issued certificate serial")

    def trusting(self):
        """Return a client's context that trusts what it issues."""
        return ssl.create_default_context(cadata=self.root())

    def root(self):
        """Return the root of what it issues (PEM)."""
        context = ssl.create_default_context()
        self.own.configure_trust(context)
        url = f"https://127.0.0.1:{self.management}/roots/0"
        with urllib.request.urlopen(url, context=context, timeout=30) as answer:
            return answer.read().decode()
