"""The ``oras`` Python client: artifacts, and blobs pushed in chunks."""

from __future__ import annotations

import json
from pathlib import Path

import oras.client
import oras.provider
import pytest

from .api import Api
from .images import MIB
from .images import Content
from .images import digest_of
from .servers import Server


pytestmark = pytest.mark.live


@pytest.fixture
def client() -> oras.client.OrasClient:
    """oras over plain HTTP."""
    return oras.client.OrasClient(insecure=True, tls_verify=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that oras pushes from: it takes relative paths alone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_push_and_pull_an_artifact(
    flaskreg: Server, client: oras.client.OrasClient, folder: Path
) -> None:
    """Files pushed as one artifact come back with their names and bytes."""
    files = {"notes.txt": b"hello\n", "data.bin": bytes(range(256)) * 300}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    target = f"{flaskreg.host}/oras/artifact:one"
    pushed = client.push(
        target,
        files=list(files),
        manifest_annotations={"org.example.note": "kept ÄÖÜ"},
    )
    assert pushed.status_code == 201

    back = client.pull(target, outdir=str(folder / "back"))
    assert sorted(Path(file).name for file in back) == sorted(files)
    for file in back:
        assert Path(file).read_bytes() == files[Path(file).name]
    raw, _ = Api(flaskreg.url, "oras/artifact").pull_manifest("one")
    manifest = json.loads(raw)
    assert manifest["annotations"]["org.example.note"] == "kept ÄÖÜ"
    assert client.get_tags(f"{flaskreg.host}/oras/artifact") == ["one"]


def test_chunked_push(
    flaskreg: Server, client: oras.client.OrasClient, folder: Path
) -> None:
    """A blob sent as several PATCHes with ``Content-Range`` is put together."""
    data = Content("oras", 5 * MIB + 17, noise=True).read()
    (folder / "big.bin").write_bytes(data)
    target = f"{flaskreg.host}/oras/chunked:one"
    pushed = client.push(target, files=["big.bin"], do_chunked=True, chunk_size=MIB)
    assert pushed.status_code == 201
    assert Api(flaskreg.url, "oras/chunked").pull_blob(digest_of(data)) == data

    (back,) = client.pull(target, outdir=str(folder / "back"))
    assert Path(back).read_bytes() == data


def test_delete_a_tag(
    flaskreg: Server, client: oras.client.OrasClient, folder: Path
) -> None:
    """oras can delete what a tag names (by its digest); another artifact stays."""
    for tag in ("gone", "stays"):
        (folder / "file").write_text(tag)
        client.push(f"{flaskreg.host}/oras/delete:{tag}", files=["file"])
    client.delete_tags(f"{flaskreg.host}/oras/delete", ["gone"])
    assert client.get_tags(f"{flaskreg.host}/oras/delete") == ["stays"]
