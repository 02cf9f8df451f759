"""A registry with a password file, and real clients that know the password or do not.

The plugins have to be installed; the README of the live tests says how.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from flaskreg_htpasswd.hashes import make_hash

from ..api import Api
from ..api import expect
from ..clients import SKOPEO
from ..clients import layout_digest
from ..clients import remote
from ..images import Layout
from ..servers import Launcher
from ..servers import Server
from ..tools import need
from ..tools import run


pytestmark = pytest.mark.live

ALICE = ("alice", "correct horse")
CHECKED = "a password is checked by bcrypt"

Start = Callable[..., Server]


def auth(path: Path) -> dict[str, Any]:
    """Return the configuration of a password file, with a log that tells all."""
    parameters = {"realm": "Registry", "path": str(path)}
    return {"auth": {"htpasswd": parameters}, "log": {"level": "debug"}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A password file with one user, at the cost that htpasswd has."""
    path = tmp_path / "htpasswd"
    path.write_bytes(b"alice:" + make_hash(ALICE[1].encode()) + b"\n")
    return path


def skopeo_copy(
    source: str, target: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Copy with skopeo; return how it ended."""
    plain = ["--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]
    command = [need("skopeo"), *SKOPEO, "copy", *plain, *options, source, target]
    return run(command, check=False)


@pytest.mark.parametrize("kind", ["flaskreg", "distribution"])
def test_skopeo_with_credentials(
    launcher: Launcher, file: Path, image: Layout, tmp_path: Path, kind: str
) -> None:
    """With the password it pushes and pulls; with another, or none, it is refused.

    distribution does the same with the same file.
    """
    if kind == "flaskreg":
        server = launcher.flaskreg(auth(file), workers=2)
    else:
        server = launcher.distribution("3", auth(file))
    target = remote(server, "secret/image:one")
    good, wrong = ":".join(ALICE), f"{ALICE[0]}:wrong"
    for options in (["--dest-creds", wrong], ["--dest-no-creds"]):
        refused = skopeo_copy(image.source, target, *options)
        assert refused.returncode != 0
        assert re.search("authentication required|unauthorized", refused.stderr)
    assert skopeo_copy(image.source, target, "--dest-creds", good).returncode == 0
    back = f"oci:{tmp_path}/back:one"
    assert skopeo_copy(target, back, "--src-creds", wrong).returncode != 0
    assert skopeo_copy(target, back, "--src-no-creds").returncode != 0
    assert skopeo_copy(target, back, "--src-creds", good).returncode == 0
    assert layout_digest(tmp_path / "back", "one") == image.digest


@pytest.mark.parametrize("program", ["skopeo", "podman"])
def test_log_in(
    start_flaskreg: Start, file: Path, tmp_path: Path, program: str
) -> None:
    """It goes well with the password, and not with another one."""
    server = start_flaskreg(auth(file), workers=1)
    command = [need(program), "login", "--tls-verify=false", "--authfile"]
    command += [str(tmp_path / "auth.json"), "--username", ALICE[0], server.host]
    refused = run([*command, "--password", "wrong"], check=False)
    assert refused.returncode != 0
    run([*command, "--password", ALICE[1]])


def test_a_thousand_heads_run_bcrypt_once(
    start_flaskreg: Start, file: Path, image: Layout
) -> None:
    """Whatever comes at once; and a wrong password among them is refused."""
    server = start_flaskreg(auth(file), workers=1)
    api = Api(server.url, "counted")
    api.session.auth = ALICE
    api.push(image, "one")
    url = f"{server.url}/v2/counted/manifests/one"

    def ask(_: int) -> list[int]:
        with requests.Session() as session:
            session.auth = ALICE
            return [session.head(url, timeout=60).status_code for _ in range(125)]

    assert server.text().count(CHECKED) == 1
    with ThreadPoolExecutor(8) as pool:
        statuses = [status for part in pool.map(ask, range(8)) for status in part]
    assert statuses == [200] * 1000
    assert server.text().count(CHECKED) == 1
    assert requests.head(url, auth=("alice", "wrong"), timeout=60).status_code == 401
    assert server.text().count(CHECKED) == 2
    assert ALICE[1] not in server.text()


def test_the_command_changes_a_running_server(
    start_flaskreg: Start, file: Path
) -> None:
    """A new user, another password, and nobody any more: each applies at once."""
    server = start_flaskreg(auth(file), workers=2)

    def command(*arguments: str, typed: str = "") -> None:
        code = "from flaskreg.cli.main import main; main()"
        subprocess.run(
            [sys.executable, "-c", code, "user", *arguments, "--file", str(file)],
            input=typed,
            text=True,
            check=True,
        )

    def status(*credentials: str) -> int:
        # No worker goes on for longer without looking at the file.
        time.sleep(0.1)
        url = f"{server.url}/v2/"
        return requests.get(url, auth=credentials, timeout=60).status_code

    assert status("bob", "one") == 401
    command("add", "bob", "--password-stdin", typed="one\n")
    assert [status("bob", "one") for _ in range(8)] == [200] * 8
    command("passwd", "bob", "--password-stdin", typed="two\n")
    assert [status("bob", "one"), status("bob", "two")] == [401, 200]
    command("delete", "bob")
    assert [status("bob", "two") for _ in range(4)] == [401] * 4
    assert status(*ALICE) == 200


def test_a_missing_file_is_made_once(start_flaskreg: Start, tmp_path: Path) -> None:
    """Whichever worker does, the password in the log is the one that is good."""
    path = tmp_path / "new" / "htpasswd"
    server = start_flaskreg(auth(path), workers=3)
    api = Api(server.url, "new")
    for _ in range(20):
        expect(api.call("GET", "tags/list"), 401)
    found = re.findall(r"with user docker and password ([\w-]+)", server.text())
    assert len(found) == 1
    for _ in range(10):
        url = f"{server.url}/v2/"
        assert requests.get(url, auth=("docker", found[0]), timeout=60).ok


def test_guessing_is_slow_and_hurts_nobody_else(
    start_flaskreg: Start, file: Path
) -> None:
    """While somebody guesses in many threads, who is known goes on as before."""
    server = start_flaskreg(auth(file), workers=1)
    url = f"{server.url}/v2/"
    assert requests.get(url, auth=ALICE, timeout=60).ok
    until = time.monotonic() + 6

    def guess(number: int) -> list[int]:
        statuses = []
        while time.monotonic() < until:
            credentials = ("alice", f"guess-{number}-{len(statuses)}")
            statuses.append(requests.get(url, auth=credentials, timeout=60).status_code)
            if statuses[-1] == 429:
                time.sleep(0.2)
        return statuses

    with ThreadPoolExecutor(16) as pool:
        guesses = [pool.submit(guess, number) for number in range(16)]
        time.sleep(1)
        for _ in range(50):
            assert requests.get(url, auth=ALICE, timeout=60).ok
        assert not all(each.done() for each in guesses)
        statuses = [status for each in guesses for status in each.result()]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) < 100
