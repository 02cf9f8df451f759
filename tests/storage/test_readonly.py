"""The switch that lets a registry only serve."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp
from builders import blob_url
from builders import push_blob
from builders import refused
from builders import start
from builders import uploads_url
from builders import with_digest
from click.testing import CliRunner

from flaskreg.cli import readonly as command_module
from flaskreg.cli.main import group
from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg.storage.readonly import ReadOnly


def test_the_switch(plain_driver: StorageDriver) -> None:
    """Another process sees it, and twice is as once."""
    mine, other = (ReadOnly(plain_driver, memory=0) for _ in range(2))
    assert not other()
    for on in (True, True, False, False):
        mine.switch(on=on)
        assert other() is mine() is on
    assert ReadOnly(plain_driver, always=True)()


def test_it_is_remembered_for_a_while(plain_driver: StorageDriver) -> None:
    """A request need not ask the storage."""
    read_only = ReadOnly(plain_driver, memory=3600)
    assert not read_only()
    ReadOnly(plain_driver).switch(on=True)
    assert not read_only()
    assert read_only.switched()
    read_only.switch(on=True)
    assert read_only(), "one's own switch is seen at once"


def test_writes_are_refused_and_uploads_go_on_after_it(make_app: MakeApp) -> None:
    """Everything that reads is served meanwhile, and `Allow` tells what is."""
    app = make_app()
    client = Client(make_app((GivenDriver(app.driver),)))
    switch = client.application.site.read_only  # type: ignore[attr-defined]
    kept = push_blob(client, "r", b"kept")
    location = start(client, "r")
    location = client.patch(location, data=b"half").headers["Location"]
    switch.switch(on=True)
    digest = Digest.of(b"half and half")
    for answer in (
        client.post(uploads_url("r")),
        client.patch(location, data=b" and half"),
        client.put(with_digest(location, digest)),
        client.delete(blob_url("r", kept)),
        client.put("/v2/r/manifests/t", data=b"{}"),
    ):
        refused(answer, 405, "UNSUPPORTED")
        assert "read-only" in answer.text
        assert "DELETE" not in answer.headers["Allow"]
    assert client.get(blob_url("r", kept)).data == b"kept"
    assert client.get(location).headers["Range"] == "0-3"
    switch.switch(on=False)
    answer = client.put(with_digest(location, digest), data=b" and half")
    assert answer.status_code == 201
    assert client.get(blob_url("r", digest)).data == b"half and half"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It switches the storage of a configuration, and says how it stands."""
    monkeypatch.setattr(command_module, "MEMORY", 0.0)
    config = tmp_path / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/r}}}}\n"
    )
    seen = ReadOnly(FilesystemDriver(f"{tmp_path}/r"), memory=0)
    for state, expected in (
        ("status", "off"), ("on", "on"), ("status", "on"), ("off", "off")
    ):  # fmt: skip
        result = CliRunner().invoke(group, ["readonly", state, str(config)])
        assert (result.exit_code, result.output) == (0, f"{expected}\n")
        assert seen() is (expected == "on")
