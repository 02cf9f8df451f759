"""A token server made of our library, and the registries and clients that believe it.

The plugins have to be installed; the README of the live tests says how.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from flaskreg_token.endpoint import make_token_blueprint
from flaskreg_token.issuer import TokenIssuer
from flaskreg_token.keys import KeyRing
from flaskreg_token.keys import SigningKey
from werkzeug.serving import make_server

from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.access import Access
from flaskreg.config import Settings

from ..api import Api
from ..api import expect
from ..clients import SKOPEO
from ..clients import Podman
from ..clients import layout_digest
from ..clients import remote
from ..faketime import FakeTime
from ..images import Layout
from ..images import digest_of
from ..servers import Launcher
from ..servers import Server
from ..tools import need
from ..tools import run


pytestmark = pytest.mark.live

ISSUER = "https://issuer.example.com"
SERVICE = "registry.example.com"
GOOD, WRONG = "alice:correct horse", "alice:wrong"


class TokenServer:
    """A token server on loopback: alice may do all, nobody may pull what is public.

    :param folder: of its keys.
    """

    def __init__(self, folder: Path) -> None:
        self.ring = KeyRing(str(folder))
        self.issuer = TokenIssuer(self.ring, ISSUER, SERVICE)
        settings = Settings.model_validate({"storage": {"driver": "inmemory"}})
        app = create_app(settings, [self])
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.realm = f"http://127.0.0.1:{self.server.server_port}/auth/token"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @hookimpl
    def flaskreg_register_blueprints(self) -> Mapping[str, Any]:
        """Offer the endpoint."""
        return {
            "/auth": make_token_blueprint(self.issuer, authenticate, allowed, SERVICE)
        }

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def authenticate(
    headers: Mapping[str, str], user: str | None, password: str | None
) -> str | None:
    """Return who asks."""
    del headers
    if user is None:
        return ""
    return user if f"{user}:{password}" == GOOD else None


def allowed(subject: str, access: Access) -> bool:
    """Whether it is alice, or a pull of what is public."""
    public = access.name.startswith("public/") and access.action == "pull"
    return public or subject == "alice"


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    """A token server."""
    server = TokenServer(tmp_path / "keys")
    yield server
    server.close()


def certificate(key: SigningKey) -> bytes:
    """Return a self-signed certificate of a key as PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.key.public_key).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    made = builder.sign(key.key.private_key, SHA256())
    return made.public_bytes(Encoding.PEM)


@pytest.fixture(params=["jwks", "rootcertbundle"])
def auth(
    request: pytest.FixtureRequest, tokens: TokenServer, tmp_path: Path
) -> dict[str, Any]:
    """The configuration of ``auth.token``, by either of its two files."""
    path = tmp_path / request.param
    if request.param == "jwks":
        path.write_text(json.dumps(tokens.ring.jwks()))
    else:
        path.write_bytes(certificate(tokens.ring.signing_key()))
    parameters = {"realm": tokens.realm, "service": SERVICE, "issuer": ISSUER}
    return {"auth": {"token": {**parameters, request.param: str(path)}}}


@pytest.fixture(params=["flaskreg", "distribution"])
def guarded(
    request: pytest.FixtureRequest, launcher: Launcher, auth: dict[str, Any]
) -> Server:
    """flaskreg, and distribution 3, that believe the token server."""
    if request.param == "flaskreg":
        return launcher.flaskreg(auth, workers=2)
    return launcher.distribution("3", auth)


def api_with(server: Server, name: str, token: str) -> Api:
    """Return the API of a repository, by a token."""
    api = Api(server.url, name)
    api.session.headers["Authorization"] = f"Bearer {token}"
    return api


def test_tokens_are_accepted(
    guarded: Server, tokens: TokenServer, image: Layout
) -> None:
    """For what they grant, and for nothing besides; a refresh token is none."""
    pull, push, delete = (
        Access("repository", "team/app", action)
        for action in ("pull", "push", "delete")
    )
    whole = Access("repository", "team/app", "*")
    other = Access("repository", "team/other", "*")
    both = api_with(guarded, "team/app", tokens.issuer.issue("a", [pull, push]).token)
    for granted, statuses in {
        (pull,): (200, 401, 401),
        (pull, push): (200, 202, 401),
        (delete,): (401, 401, 202),
        (whole,): (200, 202, 202),
        (other,): (401, 401, 401),
        (): (401, 401, 401),
    }.items():
        both.push(image, "one")
        both.check_holds(image, "one")
        api = api_with(guarded, "team/app", tokens.issuer.issue("a", granted).token)
        expect(api.call("GET", f"{guarded.url}/v2/"), 200)
        found = (
            api.call("GET", "tags/list").status_code,
            api.call("POST", "blobs/uploads/").status_code,
            api.call("DELETE", f"manifests/{image.digest}").status_code,
        )
        assert found == statuses
    refresh = api_with(guarded, "team/app", tokens.issuer.issue_refresh("a"))
    expect(refresh.call("GET", f"{guarded.url}/v2/"), 401)


def test_challenges_are_those_of_distribution(
    launcher: Launcher, auth: dict[str, Any], tokens: TokenServer
) -> None:
    """Scope by scope and error by error, apart from the order within a scope."""
    ours, theirs = launcher.flaskreg(auth, workers=1), launcher.distribution("3", auth)
    pull = Access("repository", "team/app", "pull")
    good = tokens.issuer.issue("alice", [pull]).token
    requests_made = [
        ("GET", ""),
        ("GET", "_catalog"),
        ("GET", "team/app/tags/list"),
        ("HEAD", "team/app/manifests/one"),
        ("PUT", "team/app/manifests/one"),
        ("POST", "team/app/blobs/uploads/"),
        ("POST", f"team/app/blobs/uploads/?mount=sha256:{'0' * 64}&from=team/other"),
        ("DELETE", f"team/app/manifests/sha256:{'0' * 64}"),
    ]
    for token in (None, "x", good, tokens.issuer.issue_refresh("alice")):
        for method, path in requests_made:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            told = [
                requests.request(
                    method, f"{server.url}/v2/{path}", headers=headers, timeout=60
                )
                for server in (ours, theirs)
            ]
            ours_told, theirs_told = (parsed(each) for each in told)
            assert ours_told == theirs_told, (token, method, path)


def parsed(answer: requests.Response) -> tuple[int, object]:
    """Return the status and what a challenge says."""
    if answer.status_code != 401:
        return answer.status_code // 100, None
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    told: dict[str, Any] = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    scopes = [scope.rpartition(":") for scope in told.get("scope", "").split()]
    told["scope"] = {name: set(actions.split(",")) for name, _, actions in scopes}
    return 401, told


def skopeo_copy(
    source: str, target: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Copy with skopeo; return how it ended."""
    plain = ["--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]
    command = [need("skopeo"), *SKOPEO, "copy", *plain, *options, source, target]
    return run(command, check=False)


def test_skopeo(guarded: Server, image: Layout, tmp_path: Path) -> None:
    """It pulls what is public without a password, and pushes with one."""
    public, private = (remote(guarded, f"{it}/image:one") for it in ("public", "team"))
    for target in (public, private):
        for options in (["--dest-creds", WRONG], ["--dest-no-creds"]):
            assert skopeo_copy(image.source, target, *options).returncode != 0
        pushed = skopeo_copy(image.source, target, "--dest-creds", GOOD)
        assert pushed.returncode == 0, pushed.stderr
    back = f"oci:{tmp_path}/back:one"
    assert skopeo_copy(private, back, "--src-no-creds").returncode != 0
    assert skopeo_copy(public, back, "--src-creds", WRONG).returncode != 0
    pulled = skopeo_copy(public, back, "--src-no-creds")
    assert pulled.returncode == 0, pulled.stderr
    assert layout_digest(tmp_path / "back", "one") == image.digest
    assert skopeo_copy(private, back, "--src-creds", GOOD).returncode == 0


def test_podman(guarded: Server, podman: Podman, image: Layout, tmp_path: Path) -> None:
    """It logs in with the password alone, and then pulls what is not public."""
    target = remote(guarded, "team/image:one")
    assert skopeo_copy(image.source, target, "--dest-creds", GOOD).returncode == 0
    authfile = str(tmp_path / "auth.json")
    command = [need("podman"), "login", "--tls-verify=false", "--authfile", authfile]
    command += ["--username", "alice", guarded.host, "--password"]
    assert run([*command, "wrong"], check=False).returncode != 0
    run([*command, "correct horse"])
    pull = ("pull", "--quiet", "--tls-verify=false", "--authfile", authfile)
    assert podman(*pull, target)


def test_a_key_that_is_rotated(
    launcher: Launcher, auth: dict[str, Any], tokens: TokenServer
) -> None:
    """A running flaskreg takes the file of the new keys, and drops what is gone."""
    server = launcher.flaskreg(auth, workers=2)
    (key,) = auth["auth"]["token"].keys() & {"jwks", "rootcertbundle"}
    path = Path(auth["auth"]["token"][key])
    old = tokens.issuer.issue("alice", []).token
    made = tokens.ring.rotate()
    new = tokens.issuer.issue("alice", []).token

    def statuses(token: str) -> set[int]:
        # No worker goes on for longer without looking at the file.
        time.sleep(0.2)
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{server.url}/v2/"
        return {
            requests.get(url, headers=headers, timeout=60).status_code
            for _ in range(10)
        }

    assert (statuses(old), statuses(new)) == ({200}, {401})
    if key == "jwks":
        path.write_text(json.dumps({"keys": tokens.ring.jwks()["keys"][-1:]}))
    else:
        path.write_bytes(certificate(made))
    assert (statuses(old), statuses(new)) == ({401}, {200})
    path.write_text("{")
    assert (statuses(old), statuses(new)) == ({401}, {200})
    assert "the keys of before still hold" in server.text()
    assert not any(token in server.text() for token in (old, new))


def test_a_clock_that_jumps(
    launcher: Launcher,
    auth: dict[str, Any],
    tokens: TokenServer,
    tmp_path: Path,
    image: Layout,
) -> None:
    """A token is refused while it seems to have expired, and holds when it has not."""
    clock = FakeTime(tmp_path)
    server = launcher.flaskreg(auth, clock.environment(), workers=2)
    granted = [Access("repository", "team/app", action) for action in ("pull", "push")]
    api = api_with(server, "team/app", tokens.issuer.issue("a", granted).token)
    api.push(image, "one")
    location = api.append(api.start(), b"begun ")
    for seconds, status in ((86400, 401), (-86400, 200)):
        clock.jump(seconds)
        for _ in range(5):
            answer = expect(api.call("GET", "manifests/one"), status)
            challenge = answer.headers.get("WWW-Authenticate", "")
            assert ('error="invalid_token"' in challenge) is (status == 401)
        clock.jump(0)
        api.check_holds(image, "one")
        location = api.append(location, b"more ")
    expect(api.commit(location, digest_of(b"begun more more ")), 201)
