"""Images go in and come out with their bytes and digests as they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import Client
from builders import MakeApp
from builders import blob_url
from builders import image
from builders import index
from builders import manifest_url
from builders import push_blob
from builders import push_image
from builders import push_manifest
from click.testing import CliRunner
from click.testing import Result

from flaskreg import create_app
from flaskreg.app import RegistryApp
from flaskreg.cli.main import group
from flaskreg.config import load_settings
from flaskreg.digest import Digest
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.transfer.importer import Importer
from flaskreg.transfer.layout import split_name
from flaskreg.transfer.open import open_source
from flaskreg.transfer.source import SourceError


def configured(folder: Path) -> tuple[Path, RegistryApp]:
    """Return a configuration with a storage of its own, and an application on it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nstorage:\n  delete: {enabled: true}\n"
        f"  filesystem: {{rootdirectory: {folder}/registry}}\n"
    )
    return config, create_app(load_settings(config))


def fill(client: Client) -> dict[str, Digest]:
    """Push an index, its images, a referrer, a sha512 manifest; return them by tag."""
    children = []
    for number in (b"1", b"2"):
        digest = push_image(client, "team/app", layers=[b"shared", number])
        children.append({"mediaType": OCI_MANIFEST, "digest": digest, "size": 5})
    content = index(children)
    assert push_manifest(client, "team/app", content, "multi").status_code == 201
    subject = {"mediaType": OCI_MANIFEST, "digest": Digest.of(content), "size": 5}
    about = image(subject=subject)
    assert push_manifest(client, "team/app", about).status_code == 201
    layer = Digest.of(b"shared")
    strong = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": str(push_blob(client, "team/app", b"{ }", "sha512")),
                "size": 3,
            },
            "layers": [{"mediaType": "x/y", "digest": layer, "size": 6}],
        }
    ).encode()
    named = Digest.of(strong, "sha512")
    answer = push_manifest(client, "team/app", strong, named, query="?tag=strong")
    assert answer.status_code == 201, answer.text
    return {"multi": Digest.of(content), "strong": named, "about": Digest.of(about)}


def check(client: Client, name: str, pushed: dict[str, Digest]) -> None:
    """See that everything of :func:`fill` is there, byte for byte."""
    for digest in pushed.values():
        served = client.get(manifest_url(name, digest))
        assert Digest.of(served.data, digest.algorithm) == digest
        document = json.loads(served.data)
        for each in (document.get("config"), *document.get("layers", ())):
            if each:
                content = client.get(blob_url(name, each["digest"])).data
                algorithm = each["digest"].partition(":")[0]
                assert str(Digest.of(content, algorithm)) == each["digest"]
        for child in document.get("manifests", ()):
            content = client.get(manifest_url(name, child["digest"])).data
            assert str(Digest.of(content)) == child["digest"]
    for tag in ("multi", "strong"):
        served = client.get(manifest_url(name, tag))
        algorithm = pushed[tag].algorithm
        assert Digest.of(served.data, algorithm) == pushed[tag]
    listed = client.get(f"/v2/{name}/referrers/{pushed['multi']}").get_json()
    assert [each["digest"] for each in listed["manifests"]] == [pushed["about"]]


def run(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(group, list(map(str, arguments)), catch_exceptions=False)


def test_a_tree_into_another(tmp_path: Path) -> None:
    """All repositories with their names; the second time nothing is copied."""
    _, source = configured(tmp_path / "source")
    pushed = fill(Client(source))
    push_image(Client(source), "other", "v1")
    config, target = configured(tmp_path / "target")
    first = run("import", tmp_path / "source/registry", config)
    assert first.exit_code == 0, first.output
    check(Client(target), "team/app", pushed)
    assert Client(target).get(manifest_url("other", "v1")).status_code == 200
    before = tree(tmp_path / "target/registry")
    again = run("import", tmp_path / "source/registry", config)
    assert again.stdout.startswith("imported 0 manifests, 0 tags, 0 blobs (0 bytes)")
    assert tree(tmp_path / "target/registry") == before


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of each file below a folder."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_out_to_a_layout_and_in_again(tmp_path: Path) -> None:
    """By all tags and by one; the layout holds the very bytes."""
    config, source = configured(tmp_path / "source")
    pushed = fill(Client(source))
    layout = tmp_path / "layout"
    assert run("export", "team/app", layout, config).exit_code == 0
    for path in (layout / "blobs").rglob("*"):
        if path.is_file():
            found = hashlib.new(path.parent.name, path.read_bytes()).hexdigest()
            assert found == path.name
    target_config, target = configured(tmp_path / "target")
    nameless = run("import", layout, target_config)
    assert nameless.exit_code == 1
    assert "say which one they get" in nameless.stderr
    result = run("import", layout, target_config, "--repository", "a/copy")
    assert result.exit_code == 0, result.output
    check(Client(target), "a/copy", pushed)
    one = tmp_path / "one"
    assert run("export", "team/app:strong", one, config).exit_code == 0
    (entry,) = json.loads((one / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == pushed["strong"]
    assert run("export", f"team/app@{pushed['multi']}", one, config).exit_code == 0
    entries = json.loads((one / "index.json").read_bytes())["manifests"]
    assert {each["digest"] for each in entries} == {
        pushed["strong"], pushed["multi"], pushed["about"]
    }  # fmt: skip


def test_an_export_goes_on(tmp_path: Path) -> None:
    """What is whole stays, what is missing comes, and a half file is no blob."""
    config, source = configured(tmp_path / "source")
    fill(Client(source))
    layout = tmp_path / "layout"
    run("export", "team/app", layout, config)
    before = tree(layout / "blobs")
    gone = layout / "blobs/sha256" / Digest.of(b"shared").encoded
    gone.unlink()
    gone.with_name(f".{gone.name}.part").write_bytes(b"sha")
    result = run("export", "team/app", layout, config)
    assert result.stdout == "exported 1 blobs (6 bytes)\n"
    after = tree(layout / "blobs")
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {str(gone)}
    assert gone.read_bytes() == b"shared"


def test_an_export_of_damaged_content_fails(tmp_path: Path) -> None:
    """And leaves no blob with a wrong digest."""
    config, source = configured(tmp_path / "source")
    fill(Client(source))
    digest = Digest.of(b"shared")
    data = f"docker/registry/v2/blobs/sha256/{digest.encoded[:2]}/{digest.encoded}/data"
    (tmp_path / "source/registry" / data).write_bytes(b"SHARED")
    result = run("export", "team/app", tmp_path / "layout", config)
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert not (tmp_path / "layout/blobs/sha256" / digest.encoded).exists()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Put a file into an archive."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def docker_archive(tmp_path: Path) -> Path:
    """Return what an older ``docker save`` of two names of an image writes."""
    config = b'{"architecture":"amd64","os":"linux"}'
    path = tmp_path / "saved.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "abc/layer.tar", b"a layer, not compressed")
        link = tarfile.TarInfo("def/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../abc/layer.tar"
        archive.addfile(link)
        add(archive, "ghi/layer.tar", gzip.compress(b"another", mtime=0))
        name = f"{Digest.of(config).encoded}.json"
        add(archive, name, config)
        entry = {
            "Config": name,
            "RepoTags": ["team/app:v1", "localhost:5000/other/app:v2"],
            "Layers": ["abc/layer.tar", "def/layer.tar", "ghi/layer.tar"],
        }
        add(archive, "manifest.json", json.dumps([entry]).encode())
    return path


def test_a_docker_archive(tmp_path: Path, docker_archive: Path) -> None:
    """Configuration and layers keep their bytes; twice is as once."""
    config, target = configured(tmp_path / "target")
    client = Client(target)
    assert run("import", docker_archive, config).exit_code == 0
    digests = set()
    for name, tag in (("team/app", "v1"), ("other/app", "v2")):
        served = client.get(manifest_url(name, tag))
        digests.add(served.headers["Docker-Content-Digest"])
        document = served.get_json(force=True)
        layers = [each["digest"] for each in document["layers"]]
        assert layers[0] == layers[1] == Digest.of(b"a layer, not compressed")
        content = client.get(blob_url(name, document["config"]["digest"])).data
        assert json.loads(content)["os"] == "linux"
        ends = [each["mediaType"].rpartition(".")[2] for each in document["layers"]]
        assert ends == ["tar", "tar", "gzip"]
    assert len(digests) == 1
    again = run("import", docker_archive, config)
    assert again.stdout.startswith("imported 0 manifests, 0 tags, 0 blobs")


def test_a_layout_in_an_archive(tmp_path: Path) -> None:
    """As newer versions of ``docker save`` write it, compressed too."""
    config, source = configured(tmp_path / "source")
    pushed = fill(Client(source))
    run("export", "team/app", tmp_path / "layout", config)
    path = tmp_path / "layout.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "layout", ".")
    target_config, target = configured(tmp_path / "target")
    assert run("import", path, target_config, "--repository", "r").exit_code == 0
    check(Client(target), "r", pushed)


def test_damage_is_reported_and_the_rest_is_imported(tmp_path: Path) -> None:
    """Status 1, a line for each image that did not come, and no half image."""
    _, source = configured(tmp_path / "source")
    client = Client(source)
    good = push_image(client, "r", "good", layers=[b"good"])
    push_image(client, "r", "cut", layers=[b"is cut"])
    push_image(client, "r", "gone", layers=[b"is gone"])
    lost = push_image(client, "r", "lost", layers=[b"lost"])
    root = tmp_path / "source/registry/docker/registry/v2"
    for content, change in ((b"is cut", b"is"), (b"is gone", None)):
        encoded = Digest.of(content).encoded
        data = root / f"blobs/sha256/{encoded[:2]}/{encoded}/data"
        data.unlink()
        if change is not None:
            data.write_bytes(change)
    link = root / f"repositories/r/_manifests/revisions/sha256/{lost.encoded}/link"
    link.write_bytes(b"")
    config, target = configured(tmp_path / "target")
    result = run("import", tmp_path / "source/registry", config)
    assert result.exit_code == 1
    told = client_of(target)
    assert told.get("/v2/r/tags/list").get_json()["tags"] == [
        "good", "lost"
    ]  # fmt: skip
    assert told.get(manifest_url("r", good)).status_code == 200
    for tag in ("cut", "gone"):
        assert f"r:{tag}@sha256:" in result.stderr
    sessions = tmp_path / "target/registry/docker/registry/v2/repositories/r/_uploads"
    assert not sessions.exists() or not any(sessions.iterdir())


def client_of(app: RegistryApp) -> Client:
    """Return a client with nothing remembered."""
    return Client(app)


def test_an_index_of_which_not_all_was_kept(tmp_path: Path) -> None:
    """It comes as it is, with what there is of it."""
    _, source = configured(tmp_path / "source")
    client = Client(source)
    pushed = fill(client)
    child = push_image(client, "team/app", layers=[b"shared", b"1"])
    assert client.delete(manifest_url("team/app", child)).status_code == 202
    config, target = configured(tmp_path / "target")
    assert run("import", tmp_path / "source/registry", config).exit_code == 0
    served = Client(target).get(manifest_url("team/app", "multi"))
    assert Digest.of(served.data) == pushed["multi"]


@pytest.mark.parametrize("what", ["folder", "missing", "file", "layout", "archive"])
def test_what_is_no_source(tmp_path: Path, what: str) -> None:
    """One line and status 1."""
    config, _ = configured(tmp_path / "target")
    path = tmp_path / what
    if what in ("folder", "layout"):
        path.mkdir()
    if what == "layout":
        (path / "oci-layout").write_text("{}")
        (path / "index.json").write_text("[]")
    if what == "file":
        path.write_bytes(b"no archive")
    if what == "archive":
        with tarfile.open(path, "w") as archive:
            add(archive, "manifest.json", b'[{"Config": 1}]')
    result = run("import", path, config)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("image_name", ["Bad", "r:", "r@sha256:1", "r:v1", "none"])
def test_what_cannot_be_exported(tmp_path: Path, image_name: str) -> None:
    """One line and status 1, or nothing to do for a name without tags."""
    config, app = configured(tmp_path / "target")
    push_image(Client(app), "r", "v2")
    result = run("export", image_name, tmp_path / "layout", config)
    if image_name == "r:":
        assert result.exit_code == 0
    else:
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written into it."""
    config, app = configured(tmp_path / "target")
    push_image(Client(app), "r", "v1")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    result = run("export", "r", tmp_path / "full", config)
    assert (result.exit_code, "not empty" in result.stderr) == (1, True)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1", ("", "v1")),
        ("team/app:v1", ("team/app", "v1")),
        ("docker.io/library/debian:12", ("library/debian", "12")),
        ("localhost:5000/a/b/c:x", ("a/b/c", "x")),
        ("app:v1", ("app", "v1")),
        ("team/app", ("team/app", "")),
        ("a tag!", ("", "")),
    ],
)
def test_names_of_images(text: str, expected: tuple[str, str]) -> None:
    """A host is left out, and a tag alone names no repository."""
    assert split_name(text) == expected


class Breaking(io.BytesIO):
    """Content that breaks off."""

    def read(self, _size: int | None = -1) -> bytes:
        """Return a little, and then no more."""
        if self.tell():
            raise SourceError("the connection broke")
        return super().read(3)


def test_an_import_goes_on(
    tmp_path: Path, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it broke off, only what is missing is copied, and no session is left."""
    _, source = configured(tmp_path / "source")
    digest = push_image(Client(source), "r", "v1", layers=[b"first", b"second"])
    opened: Any = open_source(str(tmp_path / "source/registry"))
    inner = opened.open_blob
    second = Digest.of(b"second")
    monkeypatch.setattr(
        opened,
        "open_blob",
        lambda name, d: Breaking(b"second") if d == second else inner(name, d),
    )
    target = make_app()
    first = Importer(opened, target.site.registry).run()
    assert (first.blobs, first.manifests, len(first.failed)) == (2, 0, 1)
    assert Client(target).get(manifest_url("r", "v1")).status_code == 404
    monkeypatch.undo()
    done: list[tuple[str, int]] = []
    again = Importer(
        opened, target.site.registry, progress=lambda w, n: done.append((w, n))
    ).run()
    assert (again.blobs, again.skipped, again.size) == (1, 2, len(b"second"))
    assert ("bytes", 6) in done
    assert Client(target).get(manifest_url("r", "v1")).headers["Etag"] == f'"{digest}"'
    assert not list(uploads_of(target))


def uploads_of(app: RegistryApp) -> Iterator[str]:
    """Yield the upload sessions of the storage."""
    for info in app.driver.walk("/"):
        if "/_uploads/" in info.path and not info.is_dir:
            yield info.path
