"""Secrets are told to nobody: not in a log, an answer, a trace, or by a command."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import bcrypt
import pytest
import yaml
from issuer_site import Issuer
from policy_site import Site
from policy_site import allow
from policy_site import basic
from policy_site import bearer


PASSWORD = "canary-password-41c7"
WRONG = "canary-wrong-88d0"
BIND = "canary-bindpassword-02fe"
TAGS = "team/a/tags/list"

_RUN = "from flaskreg.cli import main; main()"


@pytest.fixture
def issuer():
    """Return an issuer of ID tokens."""
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture
def site(tmp_path, issuer):
    """Return a registry with every kind of secret."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "htpasswd").write_text(f"alice:{hashed}\n")
    return Site(
        tmp_path,
        rules=[allow("team/*", "alice", "pull"), allow("**", "broken")],
        htpasswd=str(tmp_path / "htpasswd"),
        oidc=[{"issuer": issuer.url, "audience": "registry"}],
    )


def secrets_of(site):
    """Return what stands in the files of the registry and is nobody's business."""
    folder = site.store.path.parent
    found = [site.store.keys().secret]
    found += [key.digest for key in site.store.keys().keys]
    found += [
        line.partition(":")[2] for line in (folder / "htpasswd").read_text().split()
    ]
    for file in (folder / "keys").rglob("*"):
        if file.is_file():
            text = file.read_text(errors="replace")
            found += [line for line in text.splitlines() if len(line) > 40]
    return found


def test_nothing_is_told_over_http(site, issuer, caplog, monkeypatch):
    """Whatever is asked, with good credentials and wrong ones, and when it breaks."""
    key = site.key("alice")
    with site.store.changing() as change:
        _, _, foreign = change.keys.make("alice", "x", None, None)
    id_token, old = issuer.token(), issuer.token(exp=1)
    token = site.token(basic("alice", PASSWORD), "repository:team/a:pull").json["token"]
    given = {
        "alice": [PASSWORD, WRONG, key, foreign, id_token, old, token],
        "": [id_token, WRONG],
    }
    answers = []
    with caplog.at_level(logging.DEBUG):
        for broken in (False, True):
            if broken:

                def fail(*_):
                    raise RuntimeError("broken")

                monkeypatch.setattr(type(site.direct()), "repository", fail)
            for user, passwords in given.items():
                for password in passwords:
                    for headers in (basic(user, password), bearer(password)):
                        for method, path in (
                            ("GET", ""),
                            ("GET", TAGS),
                            ("DELETE", "team/a/manifests/x"),
                            ("POST", "other/blobs/uploads/"),
                            ("GET", "_catalog"),
                        ):
                            answer = site.call(method, path, headers)
                            answers.append(f"{answer.headers}{answer.text}")
                    answer = site.token(basic(user, password), "repository:x:pull")
                    if answer.status_code != 200:
                        answers.append(f"{answer.headers}{answer.text}")
    told = caplog.text + "".join(answers)
    assert "refused" in told
    assert "RuntimeError" in told
    every = [*given["alice"], *given[""], *secrets_of(site)]
    encoded = [basic("alice", each)["Authorization"][6:] for each in given["alice"]]
    for secret in [*every, *encoded]:
        assert secret not in told
    for each in (token, id_token, old, key):
        assert each.rpartition(".")[2] not in told


def test_commands_tell_nothing(site, tmp_path):
    """``config show``, ``config check``, ``auth explain``, ``apikey list``."""
    key = site.key("alice")
    ldap = {"uri": "ldaps://a.example.com", "base": "b", "binddn": "cn=d",
            "bindpassword": BIND}  # fmt: skip
    config, with_ldap = tmp_path / "config.yml", tmp_path / "with-ldap.yml"
    for file, more in ((config, {}), (with_ldap, {"ldap": ldap})):
        document = {
            "version": "0.1",
            "storage": {"inmemory": {}},
            "auth": {"policy": {**site.parameters, **more}},
        }
        file.write_text(yaml.safe_dump(document))
    text = ""
    for file, command in (
        (with_ldap, ["config", "show"]),
        (with_ldap, ["config", "check"]),
        (config, ["plugins"]),
        (config, ["apikey", "list"]),
        (config, ["auth", "explain", "alice", "pull", "team/a"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *command, str(file)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "REGISTRY_LOG_LEVEL": "debug"},
        )
        assert done.returncode == 0, done.stderr
        text += done.stdout + done.stderr
    assert "bindpassword: '***'" in text or "bindpassword: ***" in text, text
    for secret in (BIND, key, *secrets_of(site)):
        assert secret not in text
