"""The gate, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from builders import Client
from builders import MakeApp
from builders import WatchedDriver
from builders import eventually
from builders import push_image

from flaskreg.app import RegistryApp
from flaskreg.health import pages
from flaskreg.health.pages import Readiness


UNAVAILABLE = {
    "errors": [
        {
            "code": "UNAVAILABLE",
            "message": "service unavailable",
            "detail": "health check failed: please see /debug/health",
        }
    ]
}


@pytest.mark.parametrize("path", ["/", "/v2/", "/v2/a/tags/list", "/v2/a%2Fb", "/x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_closed_gate_refuses_everything(
    app: RegistryApp, path: str, method: str
) -> None:
    """With distribution's answer, and until what failed is well again."""
    client = Client(app)
    before = client.open(path, method=method).status_code
    app.gate.set({"check": "broken"})
    response = client.open(path, method=method)
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/json"
    assert "Docker-Distribution-Api-Version" not in response.headers
    if method != "HEAD":
        assert response.json == UNAVAILABLE
    app.gate.set({})
    assert client.open(path, method=method).status_code == before


def test_probes_are_answered_behind_a_closed_gate(app: RegistryApp) -> None:
    """The process lives, it is not ready, and nobody learns why."""
    client = Client(app)
    for path in ("/healthz", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.text) == (200, "ok\n")
        assert response.headers["Cache-Control"] == "no-store"
    app.gate.set({"check": "the canary died"})
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.text) == (503, "not ready\n")


def test_a_storage_that_takes_nothing_is_not_ready(make_app: MakeApp) -> None:
    """Reads may go on; an orchestrator sends pushes elsewhere."""

    class Full(WatchedDriver):
        def put_content(
            self, path: str, content: bytes, *, durable: bool = True
        ) -> None:
            raise OSError(f"no space left: {len(content)} bytes, {path}, {durable}")

    app = make_app()
    client = Client(app)
    push_image(client, "a", "t")
    app.driver = Full(app.driver)
    assert client.get("/readyz").status_code == 503
    assert client.get("/v2/a/manifests/t").status_code == 200
    assert client.get("/healthz").status_code == 200


def test_the_storage_is_asked_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """By however many who probe at once; what it said is kept for a time."""
    asked: list[int] = []
    failing: dict[str, str] = {}
    readiness = Readiness(lambda: asked.append(1), lambda: failing)
    threads = [threading.Thread(target=readiness.failing) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(asked) == 1
    failing["check"] = "broken"
    assert readiness.failing() == {"check": "broken"}
    monkeypatch.setattr(pages, "KEPT", 0.0)
    readiness._until = 0.0
    readiness.failing()
    readiness.failing()
    assert len(asked) == 3


def test_a_file_closes_the_gate_of_an_application(
    make_app: MakeApp, tmp_path: Path
) -> None:
    """From the configuration to the answer, there and back."""
    down = tmp_path / "down"
    app = make_app(health={"file": [{"file": str(down), "interval": "10ms"}]})
    client = Client(app)
    assert client.get("/v2/").status_code == 200
    try:
        down.touch()
        eventually(lambda: client.get("/v2/").status_code == 503, "the gate closes")
        down.unlink()
        eventually(lambda: client.get("/v2/").status_code == 200, "the gate opens")
    finally:
        app.background.stop()
