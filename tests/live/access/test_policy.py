"""One server with a policy, and real clients that log in, pull and push by it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import bcrypt
import oras.auth
import oras.client
import oras.decorator
import pytest
import requests
import yaml

from ..api import Api
from ..clients import SKOPEO
from ..clients import Podman
from ..clients import layout_digest
from ..clients import remote
from ..clients import skopeo_copy
from ..images import Layout
from ..servers import Launcher
from ..servers import Server
from ..tools import need
from ..tools import run
from ..tools import wait_until
from .openid import AUDIENCE
from .openid import OTHER
from .openid import Provider


pytestmark = pytest.mark.live

PASSWORD = "correct horse"

#: longer than any worker goes on without looking at the files, in seconds.
MOMENT = 0.2

POLICY = """\
groups: {developers: [alice]}
robots: [builder]
rules:
- {repositories: public/**, subjects: anonymous, allow: pull}
- {repositories: public/**, subjects: 'group:developers', allow: '*'}
- {repositories: private/**, subjects: 'group:developers', allow: '*'}
- {repositories: private/ci, subjects: builder, allow: [pull, push, overwrite]}
- {repositories: oidc/**, subjects: 'group:oidc:ci', allow: [pull, push]}
"""


@dataclass
class Guarded:
    """A registry with a policy.

    :param config: the configuration that it was started with.
    """

    server: Server
    folder: Path
    config: Path

    def flaskreg(self, *arguments: str) -> str:
        """Run a command of flaskreg over the same configuration."""
        code = "from flaskreg.cli import main; main()"
        command = [sys.executable, "-c", code, *arguments, str(self.config)]
        return run(command).stdout.strip()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider of OpenID Connect."""
    provider = Provider(tmp_path_factory.mktemp("provider") / "log")
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def guarded(
    session_launcher: Launcher,
    tmp_path_factory: pytest.TempPathFactory,
    provider: Provider,
) -> Guarded:
    """A registry of two workers with everything that the policy can take."""
    folder = tmp_path_factory.mktemp("policy")
    (folder / "policy.yml").write_text(POLICY)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    (folder / "htpasswd").write_text(f"alice:{hashed}\n")
    parameters = {
        "path": str(folder / "policy.yml"),
        "htpasswd": str(folder / "htpasswd"),
        "apikeys": str(folder / "apikeys.json"),
        "oidc": [{"issuer": provider.issuer, "audience": AUDIENCE, "groups": "groups"}],
    }
    auth = {
        "auth": {"policy": parameters},
        "log": {"level": "debug", "accesslog": {"disabled": False}},
    }
    config = folder / "config.yml"
    config.write_text(yaml.safe_dump({"version": "0.1", "storage": "inmemory"} | auth))
    return Guarded(session_launcher.flaskreg(auth, workers=2), folder, config)


@pytest.fixture
def authfile(tmp_path: Path) -> str:
    """The file that clients keep what they logged in with in."""
    return str(tmp_path / "auth.json")


def log_in(
    server: Server, authfile: str, user: str, password: str, program: str = "skopeo"
) -> subprocess.CompletedProcess[str]:
    """Log in with skopeo or podman; return how it ended."""
    command = [need(program), "login", "--tls-verify=false", "--authfile", authfile]
    credentials = ["--username", user, "--password", password]
    return run([*command, *credentials, server.host], check=False)


def push(source: str, destination: str, authfile: str) -> int:
    """Push with skopeo; return its exit status."""
    command = [need("skopeo"), *SKOPEO, "copy", "--quiet", "--dest-tls-verify=false",
               "--dest-authfile", authfile, source, destination]  # fmt: skip
    return run(command, check=False).returncode


def nobody(tmp_path: Path) -> str:
    """Return an authentication file without anybody in it."""
    file = tmp_path / "nobody.json"
    file.write_text("{}")
    return str(file)


def test_skopeo(guarded: Guarded, image: Layout, tmp_path: Path, authfile: str) -> None:
    """It is refused with a wrong password, pushes with a good one, pulls without."""
    public = remote(guarded.server, "public/skopeo:one")
    private = remote(guarded.server, "private/skopeo:one")
    none = nobody(tmp_path)
    assert log_in(guarded.server, authfile, "alice", "wrong").returncode != 0
    assert push(image.source, public, none) != 0
    assert log_in(guarded.server, authfile, "alice", PASSWORD).returncode == 0
    assert push(image.source, public, authfile) == 0
    assert push(image.source, private, authfile) == 0
    assert push(image.source, remote(guarded.server, "else/x:one"), authfile) != 0

    skopeo_copy(public, f"oci:{tmp_path}/back:one", "--src-authfile", none)
    assert layout_digest(tmp_path / "back", "one") == image.digest
    skopeo_copy(private, f"oci:{tmp_path}/mine:one", "--src-authfile", authfile)
    assert layout_digest(tmp_path / "mine", "one") == image.digest
    refused = run(
        [need("skopeo"), "inspect", "--tls-verify=false", "--authfile", none, private],
        check=False,
    )
    assert refused.returncode != 0


def test_podman(
    guarded: Guarded,
    image: Layout,
    podman: Podman,
    fresh_podman: Podman,
    tmp_path: Path,
    authfile: str,
) -> None:
    """The same with podman, whose second storage has nothing yet."""
    server = guarded.server
    none = nobody(tmp_path)
    plain = ("--quiet", "--tls-verify=false")
    assert log_in(server, authfile, "alice", "wrong", "podman").returncode != 0
    assert log_in(server, authfile, "alice", PASSWORD, "podman").returncode == 0
    pushed = podman("pull", "--quiet", image.source)
    for name in ("public/podman", "private/podman"):
        target = f"docker://{server.host}/{name}:one"
        podman("push", *plain, "--authfile", authfile, pushed, target)
    public = f"{server.host}/public/podman:one"
    private = f"{server.host}/private/podman:one"
    assert fresh_podman("pull", *plain, "--authfile", none, public) == pushed
    fresh_podman("rmi", "--force", pushed)
    command = [*fresh_podman.start, "pull", *plain, "--authfile", none, private]
    assert run(command, check=False).returncode != 0
    assert fresh_podman("pull", *plain, "--authfile", authfile, private) == pushed


def make_client(password: str = "", backend: str = "token") -> oras.client.OrasClient:
    """Return oras over plain HTTP, logged in or not."""
    client = oras.client.OrasClient(
        insecure=True, tls_verify=False, auth_backend=backend
    )
    if password:
        client.auth.set_basic_auth("alice", password)
    return client


def test_oras(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python client: a wrong password, a push, and a pull without any."""
    monkeypatch.chdir(tmp_path)
    # It tries each request again that was refused, and waits for minutes in all.
    monkeypatch.setattr(oras.decorator, "time", SimpleNamespace(sleep=lambda _: None))
    refused = (ValueError, oras.auth.AuthenticationException)
    Path("notes.txt").write_text("hello\n")
    public = f"{guarded.server.host}/public/oras:one"
    private = f"{guarded.server.host}/private/oras:one"
    for client in (make_client("wrong"), make_client()):
        with pytest.raises(refused, match="401|[Uu]nauthorized|[Aa]uth"):
            client.push(public, files=["notes.txt"])
    # By tokens it never asks for a wider one than its first, which is for a HEAD of
    # what is private; so there it gives the password itself.
    for target, backend in ((public, "token"), (private, "basic")):
        pushed = make_client(PASSWORD, backend).push(target, files=["notes.txt"])
        assert pushed.status_code == 201
    (back,) = make_client().pull(public, outdir=str(tmp_path / "back"))
    assert Path(back).read_text() == "hello\n"
    (back,) = make_client(PASSWORD).pull(private, outdir=str(tmp_path / "mine"))
    assert Path(back).read_text() == "hello\n"
    with pytest.raises(refused, match="401|[Uu]nauthorized|[Aa]uth"):
        make_client().pull(private, outdir=str(tmp_path / "none"))


def test_an_api_key(guarded: Guarded, image: Layout, authfile: str) -> None:
    """A robot logs in by one; when it is revoked, all workers refuse it at once."""
    key = guarded.flaskreg("apikey", "create", "--user", "builder", "--name", "ci")
    assert log_in(guarded.server, authfile, "builder", key).returncode == 0
    target = remote(guarded.server, "private/ci:one")
    assert push(image.source, target, authfile) == 0
    assert push(image.source, remote(guarded.server, "private/x:one"), authfile) != 0
    key_id = guarded.flaskreg("apikey", "list").split("\t")[0]
    guarded.flaskreg("apikey", "revoke", key_id)
    time.sleep(MOMENT)
    for _ in range(20):
        answer = requests.get(
            f"{guarded.server.url}/v2/", auth=("builder", key), timeout=10
        )
        assert answer.status_code == 401
    assert push(image.source, target, authfile) != 0


def test_an_oidc_provider(
    guarded: Guarded, provider: Provider, image: Layout, authfile: str
) -> None:
    """Its ID token is a password: for this registry, and for its groups alone."""
    server = guarded.server
    foreign = provider.id_token("job-7", OTHER)
    assert log_in(server, authfile, "oidc", foreign).returncode != 0
    token = provider.id_token("job-7")
    broken = token[:-12] + "AAAAAAAAAAAA"
    assert log_in(server, authfile, "oidc", broken).returncode != 0
    assert log_in(server, authfile, "oidc", token).returncode == 0
    assert push(image.source, remote(server, "oidc/app:one"), authfile) == 0
    assert push(image.source, remote(server, "private/app:one"), authfile) != 0
    outside = provider.id_token("mallory")
    assert log_in(server, authfile, "oidc", outside).returncode == 0
    assert push(image.source, remote(server, "oidc/app:two"), authfile) != 0


def test_the_catalog_is_everybody_s_own(guarded: Guarded, image: Layout) -> None:
    """Nobody in particular sees what is public, and its owner all of it."""
    server = guarded.server
    api = Api(server.url, "private/listed")
    api.session.auth = ("alice", PASSWORD)
    api.push(image, "one")
    names = requests.get(f"{server.url}/v2/_catalog", timeout=10).json()["repositories"]
    assert "private/listed" not in names
    answer = requests.get(
        f"{server.url}/v2/_catalog", auth=("alice", PASSWORD), timeout=10
    )
    assert "private/listed" in answer.json()["repositories"]


def test_the_policy_is_followed_by_all_workers(guarded: Guarded) -> None:
    """A change holds for each of them, and a bad edit changes nothing."""
    policy = guarded.folder / "policy.yml"
    url = f"{guarded.server.url}/v2/later/app/tags/list"

    def statuses() -> set[int]:
        time.sleep(MOMENT)
        return {requests.get(url, timeout=10).status_code for _ in range(10)}

    assert statuses() == {401}
    opened = POLICY + "- {repositories: later/*, subjects: anonymous, allow: pull}\n"
    policy.write_text(opened)
    assert statuses() == {404}
    policy.write_text("rules: [{")
    assert statuses() == {404}
    wait_until(
        lambda: "still holds" in guarded.server.text(),
        10,
        "the edit is told in the log",
    )
    policy.write_text(POLICY)
    assert statuses() == {401}


def test_no_secret_is_logged(guarded: Guarded) -> None:
    """After all of that, the log of the server holds none of them, and the reasons."""
    text = guarded.server.text()
    for told in ("GET /auth/token?", "denied: user='alice'", "kid=", "iss=", "exp="):
        assert told in text
    for secret in (PASSWORD, "frk_", "eyJ"):
        assert secret not in text
