"""Import and export, looked at with the clients and registries that people have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import requests

from .api import Api
from .clients import layout_digest
from .clients import remote
from .clients import skopeo_copy
from .clients import skopeo_digest
from .clients import skopeo_raw
from .images import Layout
from .images import digest_of
from .servers import Launcher
from .servers import Server
from .test_upkeep import config_of
from .test_upkeep import flaskreg
from .tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def target(launcher: Launcher, folder: Path) -> tuple[Server, Path]:
    """Start a registry, and return it with its configuration."""
    server = launcher.flaskreg(workers=1)
    return server, config_of(server, folder)


@pytest.mark.parametrize("version", ["2.8", "3"])
def test_a_tree_of_distribution(
    launcher: Launcher,
    tmp_path: Path,
    version: str,
    image: Layout,
    multi_arch: Layout,
    docker_list: Layout,
) -> None:
    """All images, for skopeo with the same digests; again copies nothing."""
    theirs = launcher.distribution(version)
    layouts = {"a": image, "team/multi": multi_arch, "team/x/list": docker_list}
    for name, layout in layouts.items():
        Api(theirs.url, name).push(layout, "latest")
    theirs.stop()
    ours, config = target(launcher, tmp_path)
    assert "0 failed" in flaskreg("import", theirs.root, config)
    for name, layout in layouts.items():
        Api(ours.url, name).check_holds(layout, "latest")
        raw = skopeo_raw(f"{remote(ours, name)}:latest")
        assert digest_of(raw.encode()) == layout.digest
    again = flaskreg("import", theirs.root, config)
    assert again.startswith("imported 0 manifests, 0 tags, 0 blobs (0 bytes)")


@pytest.mark.parametrize("whole", [True, False])
def test_another_registry(
    launcher: Launcher,
    tmp_path: Path,
    image: Layout,
    multi_arch: Layout,
    *,
    whole: bool,
) -> None:
    """All of its catalog, or one tag."""
    theirs = launcher.distribution("3")
    for name, layout in (("a", image), ("team/multi", multi_arch)):
        Api(theirs.url, name).push(layout, "latest", "v1")
    ours, config = target(launcher, tmp_path)
    source = theirs.url if whole else f"{theirs.url}/team/multi:v1"
    assert "0 failed" in flaskreg("import", source, config)
    Api(ours.url, "team/multi").check_holds(multi_arch, "v1")
    if whole:
        Api(ours.url, "a").check_holds(image, "latest")
    else:
        answer = Api(ours.url, "team/multi").call("GET", "tags/list").json()
        assert answer["tags"] == ["v1"]
        assert Api(ours.url, "a").call("GET", "tags/list").status_code == 404


def test_another_registry_with_a_password(
    launcher: Launcher, tmp_path: Path, image: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken from the environment, and never printed."""
    users = tmp_path / "users"
    auth = {"auth": {"htpasswd": {"realm": "theirs", "path": str(users)}}}
    theirs = launcher.distribution("3", auth)
    requests.get(f"{theirs.url}/v2/", auth=("nobody", "wrong"), timeout=30)
    # It makes a user of its own where there is none, and logs the password once.
    wait_until(lambda: "password=" in theirs.text(), 30, "a password in the log")
    password = re.findall(r'password="?([\w-]+)', theirs.text())[0]
    skopeo_copy(
        image.source, f"{remote(theirs, 'r')}:v1", f"--dest-creds=docker:{password}"
    )
    ours, config = target(launcher, tmp_path)
    monkeypatch.setenv("FLASKREG_SOURCE_PASSWORD", password)
    refused = flaskreg("import", f"{theirs.url}/r", config, check=False)
    assert "wants credentials" in refused
    told = flaskreg("import", f"{theirs.url}/r:v1", config, "--user", "docker")
    assert "0 failed" in told
    assert password not in refused + told + ours.text()
    Api(ours.url, "r").check_holds(image, "v1")


def test_out_to_skopeo_and_in_from_it(
    launcher: Launcher, tmp_path: Path, multi_arch: Layout, image: Layout
) -> None:
    """skopeo reads what we export, and we import what skopeo writes."""
    ours, config = target(launcher, tmp_path)
    Api(ours.url, "team/multi").push(multi_arch, "v1")
    flaskreg("export", "team/multi:v1", tmp_path / "out", config)
    assert layout_digest(tmp_path / "out", "v1") == multi_arch.digest
    skopeo_copy(f"oci:{tmp_path}/out:v1", f"{remote(ours, 'back')}:v1", "--all")
    raw = skopeo_raw(f"{remote(ours, 'back')}:v1")
    assert digest_of(raw.encode()) == multi_arch.digest

    written = tmp_path / "in"
    skopeo_copy(f"{remote(ours, 'team/multi')}:v1", f"oci:{written}:v2", "--all")
    flaskreg("import", written, config, "--repository", "from/skopeo")
    Api(ours.url, "from/skopeo").check_holds(multi_arch, "v2")

    Api(ours.url, "plain").push(image, "v1")
    archive = tmp_path / "archive.tar"
    source = f"{remote(ours, 'plain')}:v1"
    skopeo_copy(source, f"docker-archive:{archive}:saved/app:v3")
    flaskreg("import", archive, config)
    saved = f"{remote(ours, 'saved/app')}:v3"
    assert skopeo_digest(saved).startswith("sha256:")
    ids = [json.loads(skopeo_raw(each))["config"]["digest"] for each in (source, saved)]
    again = tmp_path / "again.tar"
    skopeo_copy(saved, f"docker-archive:{again}:saved/app:v3")
    skopeo_copy(f"docker-archive:{again}", f"{remote(ours, 'again')}:v1")
    ids.append(
        json.loads(skopeo_raw(f"{remote(ours, 'again')}:v1"))["config"]["digest"]
    )
    assert ids[1] == ids[2]
