"""The controller: its contract, its distribution, and distribution's own semantics."""

from __future__ import annotations

import base64
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from flaskreg_htpasswd import KEYS
from flaskreg_htpasswd import make_htpasswd
from flaskreg_htpasswd import provision
from flaskreg_htpasswd.basic import parse_basic
from flaskreg_htpasswd.delays import Delays
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.access import Access
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.errors import Unauthorized
from flaskreg.testing import AccessControllerTests
from flaskreg.testing import PluginTests


PULL = Access("repository", "a/b", "pull")


def basic(user, password):
    """Return the header of a user and a password."""
    raw = user if isinstance(user, bytes) else user.encode()
    raw += b":" + (password if isinstance(password, bytes) else password.encode())
    return {"Authorization": f"Basic {base64.b64encode(raw).decode()}"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Count nobody's failures: the tests of delays have their own clock."""
    monkeypatch.setattr(Delays, "failed", lambda *_: None)


class TestHtpasswdAccess(AccessControllerTests):
    """Everything that the contract of access controllers promises."""

    @pytest.fixture
    def controller(self, make_file):
        """Return a controller with one user."""
        return make_htpasswd({"realm": "R", "path": make_file(alice="secret")})

    @pytest.fixture
    def good_request(self):
        """Return the password."""
        return basic("alice", "secret")

    @pytest.fixture
    def bad_request(self):
        """Return another one."""
        return basic("alice", "Secret")


class TestHtpasswdPlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "htpasswd"
    distribution = "flaskreg-htpasswd"
    parameters = KEYS

    def valid_parameters(self, name):
        """Return both parameters; the file need not be there."""
        del name
        return {"realm": "R", "path": "does-not-exist/htpasswd"}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"path": "p"}, "auth.htpasswd.realm"),
        ({"path": "p", "realm": ""}, "auth.htpasswd.realm"),
        ({"path": "p", "realm": "a\nb"}, "auth.htpasswd.realm"),
        ({"path": "p", "realm": "\u00fc"}, "auth.htpasswd.realm"),
        ({"path": "p", "realm": 1}, "auth.htpasswd.realm"),
        ({"realm": "R"}, "auth.htpasswd.path"),
        ({"realm": "R", "path": ["p"]}, "auth.htpasswd.path"),
        ({"realm": "R", "path": "p", "paths": "p"}, "auth.htpasswd.paths"),
    ],
)
def test_a_wrong_parameter_is_refused(parameters, named):
    """The error names it where it stands in the configuration."""
    with pytest.raises(ConfigError, match=named):
        make_htpasswd(parameters)


def test_a_wrong_file_is_told_at_the_start(make_file):
    """One line names the file and the line, and not what stands there."""
    path = make_file(b"# comment\n\nuser-without-hash", alice="secret")
    with pytest.raises(ConfigError, match="line 4 has no colon") as caught:
        make_htpasswd({"realm": "R", "path": path})
    assert "user-without-hash" not in str(caught.value)


@pytest.mark.parametrize(
    ("realm", "challenge"),
    [("Registry", 'Basic realm="Registry"'), ('a "b\\', 'Basic realm="a \\"b\\\\"')],
)
def test_the_challenge(make_file, realm, challenge):
    """It is distribution's: the realm, quoted as Go quotes."""
    controller = make_htpasswd({"realm": realm, "path": make_file()})
    with pytest.raises(Unauthorized) as caught:
        controller.authorize({}, [PULL])
    assert caught.value.challenge == challenge
    assert caught.value.detail == [PULL.to_json()]


# Source: TestBasicAccessController of distribution.
DISTRIBUTION = """\
bilbo:{SHA}5siv5c0SHx681xU6GiSx9ZQryqs=
\t\tfrodo:$2y$05$926C3y10Quzn/LnqQH86VOEVh/18T6RnLaS.khre96jLNL/7e.K5W
\t\tMiShil:$2y$05$0oHgwMehvoe8iAWS8I.7l.KoECXrwVaC16RPfaSCU5eVTFrATuMI2
\t\tDeokMan:\uacf5\uc8fc\ub2d8
# frodo:commented
"""


@pytest.mark.parametrize(
    ("user", "password", "allowed"),
    [
        ("bilbo", "baggins", False),
        ("frodo", "baggins", True),
        ("MiShil", "\uc0c8\uc8fc", True),
        ("DeokMan", "\uacf5\uc8fc\ub2d8", False),
        ("nonexistent", "nonexistent", False),
        ("frodo", "bagginsinvalid", False),
        ("# frodo", "commented", False),
    ],
)
def test_the_users_of_distributions_tests(tmp_path, user, password, allowed):
    """They are in and out as they are there; a hash of another kind is never right."""
    path = tmp_path / "htpasswd"
    path.write_text(DISTRIBUTION)
    controller = make_htpasswd({"realm": "R", "path": str(path)})
    headers = basic(user, password)
    if allowed:
        assert controller.authorize(headers, [PULL]).principal.name == user
    else:
        with pytest.raises(Unauthorized):
            controller.authorize(headers, [PULL])


def test_a_password_of_any_bytes(make_file):
    """What a client of Latin-1 sends is compared byte by byte, as in distribution."""
    path = make_file(alice="gr\udcfcn")
    controller = make_htpasswd({"realm": "R", "path": path})
    assert controller.authorize(basic("alice", b"gr\xfcn"), [])
    with pytest.raises(Unauthorized):
        controller.authorize(basic("alice", "gr\u00fcn"), [])


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ",
        "Basic !",
        "Basic YQ",
        "Basic \u00fc",
        "Basic /zph",
        "Bearer a",
    ],
)
def test_malformed_headers(value):
    """They are nobody's."""
    assert parse_basic({"Authorization": value}) is None


def test_the_scheme_in_any_case():
    """A colon may stand in a password."""
    assert parse_basic({"Authorization": "bASIC YTpiOmM="}) == ("a", "b:c")


def test_a_missing_file_is_made(tmp_path, caplog):
    """With distribution's user, for its owner alone, and told once."""
    path = tmp_path / "auth" / "htpasswd"
    controller = make_htpasswd({"realm": "R", "path": str(path)})
    assert not path.exists()
    for _ in range(2):
        with pytest.raises(Unauthorized):
            controller.authorize({}, ())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().startswith("docker:$2b$10$")
    (message,) = [record.getMessage() for record in caplog.records]
    password = message.rpartition(" ")[2]
    assert len(password) == 43
    assert (
        controller.authorize(basic("docker", password), ()).principal.name == "docker"
    )
    assert os.listdir(path.parent) == ["htpasswd"]


def test_an_empty_file_is_left(tmp_path, caplog):
    """Somebody made it, and nobody is in it."""
    path = tmp_path / "htpasswd"
    path.touch()
    controller = make_htpasswd({"realm": "R", "path": str(path)})
    with pytest.raises(Unauthorized):
        controller.authorize(basic("docker", "docker"), ())
    assert path.read_bytes() == b""
    assert "password docker" not in caplog.text


def test_workers_that_make_the_file_at_once(tmp_path, caplog):
    """One of them does, and its password is the one that is told."""
    path = str(tmp_path / "htpasswd")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: provision(path), range(4)))
    (record,) = caplog.records
    password = record.getMessage().rpartition(" ")[2]
    controller = make_htpasswd({"realm": "R", "path": path})
    assert controller.authorize(basic("docker", password), ())


def test_a_file_that_cannot_be_made(tmp_path, caplog):
    """Everybody is refused, and the log says once why."""
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "htpasswd")
    controller = make_htpasswd({"realm": "R", "path": path})
    for _ in range(2):
        with pytest.raises(Unauthorized):
            controller.authorize(basic("docker", "docker"), ())
    lines = [it.getMessage() for it in caplog.records if it.levelno == logging.ERROR]
    assert len(lines) == 1
    assert path in lines[0]


def test_over_http(make_file):
    """Whoever is in the file may do all, and the others get the challenge."""
    auth = {"htpasswd": {"realm": "R", "path": make_file(alice="secret")}}
    settings = {"storage": {"driver": "inmemory"}, "auth": auth}
    auth = {"controller": "htpasswd", "parameters": auth["htpasswd"]}
    settings = Settings.model_validate({**settings, "auth": auth})
    client = Client(create_app(settings))
    for headers in ({}, basic("alice", "wrong")):
        answer = client.get("/v2/", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="R"'
        assert answer.json["errors"][0]["code"] == "UNAUTHORIZED"
    good = basic("alice", "secret")
    assert client.get("/v2/", headers=good).status_code == 200
    assert client.post("/v2/a/blobs/uploads/", headers=good).status_code == 202
