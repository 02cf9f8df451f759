"""``flaskreg user``: what it changes, what stays, and how it fails."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from flaskreg_htpasswd import editor
from flaskreg_htpasswd import user
from flaskreg_htpasswd.passwords import PasswordFile
from flaskreg_htpasswd.table import TableFile

from flaskreg.cli.main import group


COST = ("--password-stdin", "--cost", "4")


@pytest.fixture
def path(tmp_path):
    """Return the path of a file that is not there."""
    return str(tmp_path / "folder" / "htpasswd")


@pytest.fixture
def call(path):
    """Return a callable that runs the command on the file."""

    def run(*arguments, typed=""):
        command = [*arguments, "--file", path]
        return CliRunner().invoke(user, command, input=typed, catch_exceptions=True)

    return run


def main(*arguments, typed="", **environment):
    """Run ``flaskreg user`` as a process."""
    code = "from flaskreg.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "user", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_it_is_a_command_of_flaskreg():
    """It is found by the hook."""
    result = CliRunner().invoke(group, ["user", "--help"])
    assert result.exit_code == 0
    for name in ("add", "passwd", "delete", "list"):
        assert name in result.output


def test_add_change_delete(call, path):
    """Each applies to a server that runs."""
    assert call("add", "alice", *COST, typed="one\n").exit_code == 0
    passwords = PasswordFile(path)
    assert passwords.verify("alice", "one")
    assert call("passwd", "alice", *COST, typed="two\n").exit_code == 0
    assert not passwords.verify("alice", "one")
    assert passwords.verify("alice", "two")
    assert call("add", "b\u00f6b", *COST, typed="b\u00f6\n").exit_code == 0
    assert passwords.verify("b\u00f6b", "b\u00f6")
    assert call("list").output == "alice\nb\u00f6b\n"
    assert call("delete", "alice").exit_code == 0
    assert not passwords.verify("alice", "two")
    assert call("list").output == "b\u00f6b\n"


def test_a_password_is_asked_for_twice(call, path):
    """It is not shown."""
    result = call("add", "alice", "--cost", "4", typed="one\none\n")
    assert result.exit_code == 0
    assert "one" not in result.output
    assert PasswordFile(path).verify("alice", "one")


def test_a_new_file_is_for_its_owner(call, path):
    """And so is a folder that is made for it; nothing is left beside it."""
    call("add", "alice", *COST, typed="one\n")
    folder = os.path.dirname(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert os.listdir(folder) == ["htpasswd"]


def test_what_is_not_the_users_stays(call, path):
    """Comments, order, other kinds of hashes, the mode, and a link to the file."""
    os.makedirs(os.path.dirname(path))
    real = f"{path}.real"
    before = b"# first\n\nold:{SHA}x\nalice:$2y$05$x\nalice:twice\n# last: end"
    with open(real, "wb") as stream:
        stream.write(before)
    os.chmod(real, 0o640)
    os.symlink(real, path)
    assert call("passwd", "alice", *COST, typed="one\n").exit_code == 0
    with open(path, "rb") as stream:
        lines = stream.read().split(b"\n")
    assert lines[:3] == [b"# first", b"", b"old:{SHA}x"]
    assert lines[5:] == [b"# last: end", b""]
    assert os.path.islink(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert "old\t(not bcrypt: cannot log in)" in call("list").output
    call("delete", "alice")
    with open(path, "rb") as stream:
        assert stream.read() == b"# first\n\nold:{SHA}x\n# last: end\n"


@pytest.mark.parametrize(
    ("arguments", "typed", "sentence"),
    [
        (("add", "alice", *COST), "one\n", "user alice is there already"),
        (("passwd", "bob", *COST), "one\n", "there is no user bob"),
        (("delete", "bob"), "", "there is no user bob"),
        (("add", "a:b", *COST), "one\n", "must be text without a colon"),
        (("add", "#a", *COST), "one\n", "must be text without a colon"),
        (("add", "", *COST), "one\n", "must be text without a colon"),
        (("add", "a\nb", *COST), "one\n", "must be text without a colon"),
        (("add", "bob", *COST), "\n", "the password is empty"),
        (("add", "bob", *COST), "", "the password is empty"),
        (("add", "bob", *COST), "x" * 73, "longer than 72 bytes"),
    ],
)
def test_what_is_wrong_changes_nothing(call, path, arguments, typed, sentence):
    """One line says what it is."""
    call("add", "alice", *COST, typed="one\n")
    with open(path, "rb") as stream:
        before = stream.read()
    result = call(*arguments, typed=typed)
    assert sentence in str(result.exception)
    assert len(str(result.exception).splitlines()) == 1
    with open(path, "rb") as stream:
        assert stream.read() == before


def test_errors_are_one_line_with_status_2(tmp_path):
    """As of every command."""
    for arguments in (
        ("delete", "bob", "--file", str(tmp_path / "missing")),
        ("list", "--file", str(tmp_path)),
        ("list", "--config", str(tmp_path / "missing.yml")),
    ):
        ended = main(*arguments)
        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1
        assert ended.stderr.startswith("flaskreg: ")


@pytest.mark.parametrize(
    ("auth", "found"),
    [
        ("htpasswd: {{realm: R, path: {path}}}", True),
        ("policy: {{rules: [], htpasswd: {path}}}", True),
        ("silly: {{realm: R, service: S}}", False),
    ],
)
def test_the_file_of_the_configuration(tmp_path, auth, found):
    """It is found by --config and by the environment."""
    path, config = tmp_path / "htpasswd", tmp_path / "config.yml"
    storage = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}}}}}\n"
    config.write_text(f"{storage}auth:\n  {auth.format(path=path)}\n")
    ended = main("add", "alice", *COST, "--config", str(config), typed="one\n")
    assert (ended.returncode == 0) is found, ended.stderr
    ended = main("list", REGISTRY_CONFIGURATION_PATH=str(config))
    assert ended.stdout == ("alice\n" if found else "")
    assert found or "use --file" in ended.stderr


def test_editors_at_once_lose_nothing(path):
    """They wait for each other."""
    editor.edit(path, lambda lines: lines, create=True)

    def add(number):
        editor.edit(
            path, lambda lines: editor.with_user(lines, b"user%d" % number, b"hash")
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert set(TableFile(path).read().hashes) == {f"user{n}" for n in range(40)}
    assert os.listdir(os.path.dirname(path)) == ["htpasswd"]


def test_an_edit_that_fails_leaves_the_file(path, monkeypatch):
    """And nothing beside it."""
    editor.edit(path, lambda _: [b"alice:hash"], create=True)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="No space left"):
        editor.edit(path, lambda _: [])
    with open(path, "rb") as stream:
        assert stream.read() == b"alice:hash\n"
    assert os.listdir(os.path.dirname(path)) == ["htpasswd"]
