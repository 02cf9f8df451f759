"""One process leads, another takes over, and their folder goes with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builders import eventually

from flaskreg import runfolder
from flaskreg.lead import Lead
from flaskreg.runfolder import OWNER
from flaskreg.runfolder import VARIABLE
from flaskreg.runfolder import run_folder


LEADER = """
import sys, time
from pathlib import Path
from flaskreg.lead import Lead
Lead(Path(sys.argv[1]), lambda: print("leads", flush=True)).start()
time.sleep(60)
"""


def test_a_killed_leader_is_followed(tmp_path: Path) -> None:
    """However a process ends, the kernel frees what it held."""
    path = tmp_path / "lead"
    leads: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", LEADER, str(path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"leads\n"
        lead = Lead(
            path, lambda: leads.append("leads"), lambda: leads.append("follows")
        )
        lead.start()
        eventually(lambda: "follows" in leads, "it follows")
        assert "leads" not in leads
        other.send_signal(signal.SIGKILL)
    eventually(lambda: "leads" in leads, "it leads")
    lead.stop()


def test_a_lead_that_fails_is_given_up_and_taken_again(tmp_path: Path) -> None:
    calls: list[int] = []

    def fail_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("not yet")

    lead = Lead(tmp_path / "lead", fail_once)
    lead.start()
    eventually(lambda: len(calls) == 2, "it is tried again")
    lead.stop()


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place where folders are made."""
    make = runfolder._make

    def in_base() -> Path:
        with monkeypatch.context() as patched:
            patched.setattr(os, "access", lambda *_: False)
            patched.setattr(runfolder.tempfile, "gettempdir", lambda: str(tmp_path))
            patched.setattr(runfolder.tempfile, "tempdir", str(tmp_path))
            return make()

    monkeypatch.setattr(runfolder, "_make", in_base)
    return tmp_path


def test_processes_of_one_server_share_a_folder(base: Path) -> None:
    environ: dict[str, str] = {}
    folder = run_folder(environ)
    assert folder.parent == base
    assert folder.stat().st_mode & 0o777 == 0o700
    assert run_folder(environ) == folder
    assert run_folder({**environ, OWNER: str(os.getppid())}) == folder


@pytest.mark.usefixtures("base")
def test_another_server_has_another_folder() -> None:
    """Its environment may be inherited from one that started it."""
    environ: dict[str, str] = {}
    folder = run_folder(environ)
    inherited = {**environ, OWNER: "1"}
    assert run_folder(inherited) != folder
    assert inherited[OWNER] == str(os.getpid())


def test_an_operator_names_the_folder(tmp_path: Path) -> None:
    named = tmp_path / "a" / "b"
    assert run_folder({VARIABLE: str(named)}) == named
    assert named.is_dir()


def test_folders_of_killed_servers_are_removed(base: Path) -> None:
    """Those of running ones are not, nor what is not ours."""
    environ: dict[str, str] = {}
    mine = run_folder(environ)
    stale = base / "flaskreg-run-stale"
    stale.mkdir()
    (stale / "alive").touch()
    other = base / "flaskreg-run-linked"
    other.mkdir()
    (other / "alive").symlink_to(base / "elsewhere")
    run_folder({})
    assert not stale.exists()
    assert mine.exists()
    assert other.exists()
