"""``docs/access.md``: its auth hook and its wrapper run, and pass what they should."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.config import load_settings
from flaskreg.digest import Digest
from flaskreg.routes.authorize import accesses_for
from flaskreg.routes.call import Call
from flaskreg.routes.endpoints import ENDPOINTS
from flaskreg.routes.paths import parse_path


PAGE = (Path(__file__).parents[1] / "docs" / "access.md").read_text()
NAMES = ("teams.py", "wsgi.py", "config.yml", "test_teams.py", "releases.py")

_BLOCK = re.compile(r"^```\w+ (?P<name>\S+)\n(?P<code>.*?)^```$", re.M | re.S)

RED = ("red", "correct horse")
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the files of the page."""
    found = {
        match["name"]: match["code"]
        for match in _BLOCK.finditer(PAGE)
        # These are run by tests/live/access/test_page.py.
        if not match["name"].startswith("five/")
    }
    assert tuple(found) == NAMES
    for name, code in found.items():
        (tmp_path / name).write_text(code)
    return tmp_path


@pytest.fixture
def load(folder, monkeypatch):
    """Return a callable that imports a file of the page as it would be imported."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("REGISTRY_CONFIGURATION_PATH", str(folder / "config.yml"))

    def load(name):
        for each in NAMES:
            monkeypatch.delitem(sys.modules, each.removesuffix(".py"), raising=False)
        module = __import__(name)
        for each in NAMES:
            sys.modules.pop(each.removesuffix(".py"), None)
        return module

    return load


def push(client, name, tag, note):
    """Push an image without layers; return the status of its manifest."""
    config = b"{}"
    digest = str(Digest.of(config))
    client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data=config, auth=RED)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest,
            "size": len(config),
        },
        "layers": [],
        "annotations": {"note": note},
    }
    answer = client.put(
        f"/v2/{name}/manifests/{tag}",
        data=json.dumps(manifest),
        content_type=MANIFEST_TYPE,
        auth=RED,
    )
    return answer.status_code


def test_the_hook_has_about_twenty_lines(folder):
    """The page's promise, from the class on, without blank lines."""
    code = (folder / "teams.py").read_text()
    body = code[code.index("class TeamAccess") :]
    assert len([line for line in body.splitlines() if line.strip()]) <= 26


def test_the_hook_over_http(load):
    """A team pushes below its name, pulls everything, and others get nothing."""
    client = Client(load("wsgi").app)
    assert client.get("/v2/").status_code == 401
    refused = client.get("/v2/", auth=("red", "wrong"))
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="teams"'
    assert client.get("/v2/", auth=RED).status_code == 200
    assert push(client, "red/app", "latest", "one") == 201
    assert push(client, "blue/app", "latest", "one") == 403
    other = ("blue", "battery staple")
    assert client.get("/v2/red/app/manifests/latest", auth=other).status_code == 200
    assert client.delete("/v2/red/app/manifests/latest", auth=other).status_code == 403


def test_the_hook_passes_its_suite(folder):
    """The test module of the page, run as it stands there."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
         "-n", "0", "test_teams.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b\d\d passed", done.stdout), done.stdout
    assert "skipped" not in done.stdout


def test_the_wrapper_over_http(load):
    """A version stays, another tag moves, and the archive is kept."""
    plugins = [load("teams"), load("releases")]
    client = Client(create_app(load_settings(), plugins))
    for note, versioned, latest in (("one", 201, 201), ("two", 403, 201)):
        assert push(client, "red/app", "v1.0", note) == versioned
        assert push(client, "red/app", "latest", note) == latest
    path = "/v2/archive/app/manifests/latest"
    assert client.delete(path).status_code == 401
    assert client.delete(path, auth=RED).status_code == 403
    assert client.get("/v2/_catalog").status_code == 401


ENDPOINT_PATHS = {
    "base": "/v2/",
    "catalog": "/v2/_catalog",
    "tags": "/v2/<name>/tags/list",
    "referrers": "/v2/<name>/referrers/<digest>",
    "manifest": "/v2/<name>/manifests/<reference>",
    "blob": "/v2/<name>/blobs/<digest>",
    "uploads": "/v2/<name>/blobs/uploads/",
    "upload": "/v2/<name>/blobs/uploads/<session>",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def needs(endpoint, path, method):
    """Return what the routes ask for, as a cell of the page's table."""
    if method not in ENDPOINTS[endpoint]:
        return "-"
    route = parse_path(path.replace("<", "").replace(">", ""))
    assert route.endpoint == endpoint
    asked = accesses_for(Call(None, {"QUERY_STRING": ""}, method, route))
    return " ".join(each.action for each in asked) or "nothing"


def table():
    """Return the page's table, made of the routes."""
    lines = [f"| endpoint | {' | '.join(METHODS)} |", "|---" * (1 + len(METHODS)) + "|"]
    for endpoint, path in ENDPOINT_PATHS.items():
        cells = [needs(endpoint, path, method) for method in METHODS]
        lines.append(f"| `{path}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_what_is_asked_is_what_the_routes_ask():
    """The page's table has each action of each method of each endpoint."""
    assert ENDPOINT_PATHS.keys() == ENDPOINTS.keys()
    assert {method for each in ENDPOINTS.values() for method in each} == set(METHODS)
    assert table() in PAGE, f"docs/access.md has to have this table:\n{table()}"


def test_a_mount_asks_for_its_source():
    """The sentence below the table."""
    environ = {"QUERY_STRING": "mount=sha256:0&from=b"}
    route = parse_path("/v2/a/blobs/uploads/")
    asked = accesses_for(Call(None, environ, "POST", route))
    assert [(each.name, each.action) for each in asked] == [
        ("a", "pull"),
        ("a", "push"),
        ("b", "pull"),
    ]
