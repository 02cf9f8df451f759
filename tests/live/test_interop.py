"""One storage, three registries: flaskreg, distribution 3 and distribution 2.8.

A tree that one wrote serves from the others with equal digests, and an upload that was
begun at one goes on at another.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from .api import Api
from .api import expect
from .api import with_digest
from .images import KIB
from .images import MIB
from .images import OCI
from .images import Layout
from .images import digest_of
from .images import make_layout
from .images import tree_digests
from .servers import Launcher
from .servers import Server
from .servers import distribution_command
from .servers import merge
from .servers import settings
from .tools import run


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

VERSIONS = ["2.8", "3"]


@dataclass(frozen=True)
class Content:
    """What is pushed to one registry and looked for in the others."""

    layouts: dict[str, Layout]
    data: bytes

    def push(self, server: Server) -> str:
        """Push everything, and begin an upload; return its location."""
        for name, layout in self.layouts.items():
            Api(server.url, name).push(layout, "latest", "again")
        api = Api(server.url, "interop/flight")
        return api.append(api.start(), self.data[: len(self.data) // 2])

    def check(self, server: Server) -> None:
        """Check that a registry serves everything."""
        for name, layout in self.layouts.items():
            api = Api(server.url, name)
            api.check_holds(layout, "latest")
            tags = expect(api.call("GET", "tags/list"), 200).json()
            assert sorted(tags["tags"]) == ["again", "latest"]
        catalog = Api(server.url, "").session.get(f"{server.url}/v2/_catalog?n=100")
        listed = set(catalog.json()["repositories"])
        assert listed - {"interop/flight"} == set(self.layouts)

    def finish(self, server: Server, location: str) -> None:
        """Go on with the upload that another registry began."""
        api = Api(server.url, "interop/flight")
        status = expect(api.status(moved(server, location)), 204)
        half = len(self.data) // 2
        assert status.headers["Range"] == f"0-{half - 1}"
        location = api.append(moved(server, location), self.data[half:])
        expect(api.commit(location, digest_of(self.data)), 201)
        assert api.pull_blob(digest_of(self.data)) == self.data


@pytest.fixture(scope="module")
def content(
    image: Layout,
    many_layers: Layout,
    multi_arch: Layout,
    docker_image: Layout,
    docker_list: Layout,
) -> Content:
    """Images of each kind, in names of several depths."""
    return Content(
        {
            "plain": image,
            "interop/sixty": many_layers,
            "interop/multi": multi_arch,
            "interop/a/b/c/docker": docker_image,
            "interop/a.b__c/list": docker_list,
        },
        random.Random("flight").randbytes(3 * MIB + 7),
    )


def moved(server: Server, location: str) -> str:
    """Return a location of one server as another one has it."""
    parts = urlsplit(location)
    return parts._replace(scheme="http", netloc=server.host).geturl()


@pytest.mark.parametrize("version", VERSIONS)
def test_their_tree_serves_from_flaskreg(
    launcher: Launcher, content: Content, version: str
) -> None:
    """What distribution wrote, an upload in flight included, flaskreg serves."""
    theirs = launcher.distribution(version)
    location = content.push(theirs)
    theirs.stop()
    ours = launcher.flaskreg(root=theirs.root, workers=2)
    content.check(ours)
    content.finish(ours, location)
    content.check(ours)


@pytest.mark.parametrize("version", VERSIONS)
def test_our_tree_serves_from_distribution(
    launcher: Launcher, content: Content, version: str
) -> None:
    """What flaskreg wrote, an upload in flight included, distribution serves."""
    ours = launcher.flaskreg(workers=2)
    location = content.push(ours)
    push_what_only_we_have(ours, content)
    ours.stop()
    theirs = launcher.distribution(version, root=ours.root)
    content.check(theirs)
    content.finish(theirs, location)
    content.check(theirs)


def push_what_only_we_have(server: Server, content: Content) -> None:
    """Push referrers and sha512 content, which leave their own files in the tree."""
    api = Api(server.url, "plain")
    layout = content.layouts["plain"]
    raw, media_type = api.pull_manifest(layout.digest)
    subject = {"mediaType": media_type, "digest": layout.digest, "size": len(raw)}
    push_artifact(api, subject)
    push_sha512(api)
    push_sha512_blob(api)


def push_artifact(api: Api, subject: dict[str, Any]) -> str:
    """Push an artifact that refers to a manifest; return its digest."""
    empty = api.push_blob(b"{}")
    artifact = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "artifactType": "application/vnd.example.sbom",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": empty,
            "size": 2,
        },
        "layers": [],
        "subject": subject,
    }
    data = json.dumps(artifact).encode()
    return api.push_manifest(digest_of(data), data, OCI.manifest)


def push_sha512(api: Api) -> tuple[str, bytes]:
    """Push a manifest under its sha512 digest; return the digest and the bytes."""
    config = b'{"sha512": "manifest"}'
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "config": {
            "mediaType": OCI.config,
            "digest": api.push_blob(config),
            "size": len(config),
        },
        "layers": [],
    }
    data = json.dumps(manifest).encode()
    reference = f"sha512:{hashlib.sha512(data).hexdigest()}"
    assert api.push_manifest(reference, data, OCI.manifest) == reference
    return reference, data


def push_sha512_blob(api: Api) -> None:
    """Push a blob under its sha512 digest.

    distribution's collector loses such a blob in its own trees too.
    """
    blob = b"a blob with a long digest"
    digest = f"sha512:{hashlib.sha512(blob).hexdigest()}"
    answer = api.call("POST", "blobs/uploads/?digest-algorithm=sha512")
    expect(api.commit(api.location(expect(answer, 202)), digest, blob), 201)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "ours_first", [True, False], ids=["ours-first", "theirs-first"]
)
def test_upload_crosses_over_and_back(
    launcher: Launcher, version: str, *, ours_first: bool
) -> None:
    """PATCHes of one session alternate between two registries on one storage.

    The one that commits reads nothing again: each goes on with the other's state.
    """
    data = random.Random("cross").randbytes(8 * MIB + 3)
    ours = launcher.flaskreg(workers=2)
    theirs = launcher.distribution(version, root=ours.root)
    pair = [ours, theirs] if ours_first else [theirs, ours]
    apis = [Api(server.url, "interop/cross") for server in pair]
    location = apis[0].start()
    for number, at in enumerate(range(0, len(data), MIB)):
        api, server = apis[number % 2], pair[number % 2]
        location = api.append(moved(server, location), data[at : at + MIB], at)
    assert number % 2 == 0, "the one that began sent the last chunk"
    before = pair[1].bytes_read()
    target = with_digest(moved(pair[1], location), digest_of(data))
    expect(apis[1].call("PUT", target), 201)
    assert pair[1].bytes_read() - before < MIB, "the commit read the upload again"
    for api in apis:
        assert api.pull_blob(digest_of(data)) == data


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "ours_first", [True, False], ids=["ours-first", "theirs-first"]
)
@pytest.mark.parametrize("whole", [True, False], ids=["put", "patch"])
def test_session_without_bytes_crosses_over(
    launcher: Launcher, version: str, *, ours_first: bool, whole: bool
) -> None:
    """One registry starts a session, and all of the blob goes to the other."""
    ours = launcher.flaskreg(workers=2)
    theirs = launcher.distribution(version, root=ours.root)
    first, second = [ours, theirs] if ours_first else [theirs, ours]
    api = Api(second.url, "interop/empty")
    location = moved(second, Api(first.url, "interop/empty").start())
    data = random.Random("empty").randbytes(100 * KIB)
    assert api.status(location).status_code == 204
    if whole:
        expect(api.commit(location, digest_of(data), data), 201)
    else:
        location = api.append(location, data)
        expect(api.commit(location, digest_of(data)), 201)
    assert Api(first.url, "interop/empty").pull_blob(digest_of(data)) == data
    assert not list(ours.tree.glob("repositories/interop/empty/_uploads/*"))


@pytest.mark.parametrize("version", VERSIONS)
def test_hash_states_are_the_same_bytes(launcher: Launcher, version: str) -> None:
    """After the same chunks both leave the same states under the same names."""
    ours = launcher.flaskreg(workers=1)
    theirs = launcher.distribution(version)
    sizes = (1, 63, 64, 65, 127, 100 * KIB, MIB + 1)
    states: list[dict[str, str]] = []
    for server in (ours, theirs):
        api = Api(server.url, "interop/states")
        location = api.start()
        at = 0
        for size in sizes:
            location = api.append(location, bytes([size % 251]) * size, at)
            at += size
        states.append(latest_state(server, location, at))
    assert states[0] == states[1]


def latest_state(server: Server, location: str, size: int) -> dict[str, str]:
    """Return the hash state at the offset of a session, by its path in the session."""
    session = urlsplit(location).path.rpartition("/")[2]
    folder = server.tree / "repositories/interop/states/_uploads" / session
    file = folder / "hashstates" / "sha256" / str(size)
    return {str(file.relative_to(folder)): file.read_bytes().hex()}


def test_file_names_are_the_same(launcher: Launcher, content: Content) -> None:
    """The same pushes leave the same files in both trees, byte for byte."""
    ours, theirs = launcher.flaskreg(workers=1), launcher.distribution("3")
    trees = []
    for server in (ours, theirs):
        for name, layout in content.layouts.items():
            Api(server.url, name).push(layout, "latest")
        trees.append(tree_digests(server.tree))
    assert trees[0] == trees[1]


@pytest.mark.parametrize(
    ("version", "untagged"), [("2.8", False), ("3", False), ("3", True)]
)
def test_their_garbage_collection_keeps_our_content(
    launcher: Launcher,
    content: Content,
    tmp_path: Path,
    version: str,
    *,
    untagged: bool,
) -> None:
    """distribution's collector over our tree keeps everything that is tagged.

    And without ``--delete-untagged`` what is there by digest alone, sha512 included.
    With it 2.8 takes the images of an index, in its own trees too: not tried here.
    """
    ours = launcher.flaskreg(workers=1)
    content.push(ours)
    api = Api(ours.url, "plain")
    layout = content.layouts["plain"]
    raw, media_type = api.pull_manifest(layout.digest)
    referrer = push_artifact(
        api,
        {"mediaType": media_type, "digest": layout.digest, "size": len(raw)},
    )
    reference, manifest = push_sha512(api)
    api.push_manifest("long", manifest, OCI.manifest)
    loose = api.push_blob(b"nobody refers to this")
    ours.stop()

    config = tmp_path / "collect.yml"
    config.write_text(yaml.safe_dump(merge(settings(1, ours.root), {})))
    command = distribution_command(version)[:1]
    options = ["--delete-untagged"] if untagged else []
    run([*command, "garbage-collect", *options, str(config)])

    ours = launcher.flaskreg(root=ours.root, workers=1)
    api = Api(ours.url, "plain")
    expect(api.call("DELETE", "manifests/long"), 202)
    content.check(ours)
    assert api.call("GET", f"blobs/{loose}").status_code == 404
    if not untagged:
        kept = expect(api.call("GET", f"manifests/{reference}"), 200)
        assert kept.content == manifest
        blob = json.loads(manifest)["config"]["digest"]
        api.pull_blob(blob)
        listed = expect(api.call("GET", f"referrers/{layout.digest}"), 200).json()
        assert [entry["digest"] for entry in listed["manifests"]] == [referrer]


@pytest.mark.parametrize("version", VERSIONS)
def test_deletes_are_seen_by_the_other(
    launcher: Launcher, tmp_path: Path, version: str
) -> None:
    """What one deletes is gone in the other, that runs at the same time."""
    layout = make_layout(tmp_path / "image", seed="deleted")
    ours = launcher.flaskreg(workers=2)
    theirs = launcher.distribution(version, root=ours.root)
    for first, second in ((ours, theirs), (theirs, ours)):
        name = f"interop/deleted-by-{'us' if first is ours else 'them'}"
        here, there = Api(first.url, name), Api(second.url, name)
        here.push(layout, "latest", "kept")
        there.check_holds(layout, "latest")
        expect(here.call("DELETE", f"manifests/{layout.digest}"), 202)
        for reference in ("latest", "kept", layout.digest):
            path = f"manifests/{reference}"
            assert there.call("GET", path).status_code == 404, path
        (blob, *_) = layout.blobs()
        expect(here.call("DELETE", f"blobs/{blob}"), 202)
        assert there.call("HEAD", f"blobs/{blob}").status_code == 404
        here.push(layout, "latest")
        there.check_holds(layout, "latest")
