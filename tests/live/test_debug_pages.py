"""The pages of the debug address, with all that the registry counts switched on."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
import requests

from .api import Api
from .images import Layout
from .servers import Launcher
from .servers import Server
from .servers import free_port
from .tools import need
from .tools import wait_until


pytestmark = pytest.mark.live


class Accepting(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self) -> None:
        """Answer 202."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Write nothing."""


@contextmanager
def receiver() -> Iterator[str]:
    """Give the URL of a server that takes all events."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Accepting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()
        thread.join()


@pytest.fixture
def debug(launcher: Launcher, flaskreg: Server, image: Layout) -> Iterator[str]:
    """Return the debug address of a server that sent, cached and refused."""
    port = free_port()
    with receiver() as url:
        endpoints = [
            {
                "name": "good",
                "url": url,
                "headers": {"Authorization": ["Bearer not-for-all"]},
            },
            {"name": "dead", "url": "http://127.0.0.1:1/", "secret": "not-for-all"},
        ]
        server = launcher.flaskreg(
            {
                "http": {
                    "debug": {
                        "addr": f"127.0.0.1:{port}",
                        "prometheus": {"enabled": True},
                    }
                },
                "storage": {"cache": {"blobdescriptor": "inmemory"}},
                "health": {"storagedriver": {"enabled": True}},
                "notifications": {"endpoints": endpoints},
                "proxy": {
                    "upstreams": [
                        {
                            "prefix": "cached",
                            "remoteurl": flaskreg.url,
                            "username": "me",
                            "password": "not-for-all",
                        }
                    ]
                },
            },
            workers=2,
        )
        Api(flaskreg.url, "debugged").push(image, "v1")
        Api(server.url, "team/app").push(image, "v1")
        Api(server.url, "team/app").call("GET", "manifests/none")
        Api(server.url, "cached/debugged").check_holds(image, "v1")
        yield f"http://127.0.0.1:{port}"


def numbers(debug: str, name: str) -> dict[str, Any]:
    """Return what ``/debug/vars`` tells of an endpoint."""
    page = requests.get(f"{debug}/debug/vars", timeout=10).json()
    endpoints = page["registry"]["notifications"]["endpoints"]
    (found,) = [each for each in endpoints if each["name"] == name]
    metrics: dict[str, Any] = found["Metrics"]
    return metrics


def test_what_is_counted(debug: str) -> None:
    """Both pages tell it, promtool has nothing to say, and no secret is told."""
    wait_until(lambda: numbers(debug, "good")["Pending"] == 0, 30, "all to be sent")
    wait_until(lambda: numbers(debug, "dead").get("Errors", 0) > 0, 30, "an error")
    good, dead = numbers(debug, "good"), numbers(debug, "dead")
    assert good["Successes"] == good["Events"] == good["Statuses"]["202 Accepted"]
    assert good["Events"] > 3
    assert dead["Pending"] == dead["Events"] == good["Events"]
    page = requests.get(f"{debug}/debug/vars", timeout=10)
    assert page.json()["registry"]["proxy"].keys() == {"blobs", "manifests"}
    assert "not-for-all" not in page.text
    metrics = requests.get(f"{debug}/metrics", timeout=10).text
    line = f'registry_notifications_pending_total{{endpoint="dead"}} {dead["Pending"]}'
    assert line in metrics
    done = subprocess.run(
        [need("promtool"), "check", "metrics"],
        input=metrics,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
