"""API keys: made, used, narrowed, expired and revoked, by whatever worker."""

from __future__ import annotations

import json
import multiprocessing
import re
import stat
import time

import pytest
from click.testing import CliRunner
from flaskreg_policy.apikeystore import ApiKeyStore
from flaskreg_policy.commands import apikey
from flaskreg_policy.globs import parse_glob
from flaskreg_policy.identity import Limit
from policy_site import Site
from policy_site import allow
from policy_site import basic
from policy_site import bearer


RULES = [allow("**", "alice"), allow("team/*", "ci", "pull")]
TAGS = "tags/list"


@pytest.fixture
def site(make_site):
    """Return a registry with a user and a robot."""
    return make_site(rules=RULES, robots={"ci": {}})


@pytest.fixture
def command(site, tmp_path):
    """Return a callable that runs ``flaskreg apikey`` and returns what it did."""
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({
        "version": "0.1",
        "storage": {"inmemory": {}},
        "auth": {"policy": site.parameters},
    }))  # fmt: skip

    def run(*arguments):
        return CliRunner().invoke(apikey, [*arguments, str(config)])

    return run


def status(site, headers, path=f"team/a/{TAGS}", method="GET"):
    """Return the status of an answer."""
    return site.call(method, path, headers).status_code


@pytest.mark.parametrize("as_header", [lambda it: basic("ci", it), bearer])
def test_a_key_is_a_password_and_a_token(site, as_header):
    """Of its user, who may be a robot."""
    headers = as_header(site.key("ci"))
    assert status(site, headers, "") == 200
    assert status(site, headers) == 404
    assert status(site, headers, f"other/{TAGS}") in (401, 403)


def test_a_key_of_another_user(site):
    """The user name has to be that of the key."""
    key = site.key("ci")
    assert status(site, basic("alice", key)) == 401
    assert status(site, basic("", key)) == 401


@pytest.mark.parametrize("change", ["revoke", "expire", "vanish", "break"])
def test_a_key_that_is_over(site, change, monkeypatch):
    """It is refused at once, and so are the tokens that were made by it."""
    key = site.key("ci", expires=time.time() + 1000)
    token = site.token(basic("ci", key), "repository:team/a:pull").json["token"]
    ways = [basic("ci", key), bearer(key), bearer(token)]
    assert [status(site, each) for each in ways] == [404] * 3
    if change == "revoke":
        with site.store.changing() as changing:
            changing.keys = changing.keys.without(site.last.id)
    elif change == "expire":
        now = time.time()
        monkeypatch.setattr("flaskreg_policy.apikeys.time.time", lambda: now + 1001)
    elif change == "vanish":
        site.store.path.unlink()
    else:
        site.store.path.write_text('{"keys": [{}], "secret": "x"}')
    assert [status(site, each) for each in ways] == [401] * 3
    assert site.token(basic("ci", key)).status_code == 401


def test_a_narrowed_key(site):
    """It does less than its user, also by a token, and in the catalog."""
    limits = [Limit((parse_glob("team/*"),), frozenset({"pull", "push"}))]
    headers = basic("alice", site.key("alice", limits=limits))
    scopes = ("repository:team/a:pull,push,delete", "repository:other:pull")
    token = bearer(site.token(headers, *scopes, "registry:catalog:*").json["token"])
    for each, refused in ((headers, 403), (token, 401)):
        assert status(site, each) in (200, 404)
        assert status(site, each, "team/a/blobs/uploads/", "POST") == 202
        assert status(site, each, "team/a/manifests/x", "DELETE") == refused
        assert status(site, each, f"other/{TAGS}") == refused
        assert not site.app.site.controller.may_list(each, "other")
        assert site.app.site.controller.may_list(each, "team/a")
        assert not site.app.site.controller.may_overwrite(each, "team/a", "latest")


def test_only_a_digest_is_stored(site):
    """And whoever reads the file cannot log in by anything in it."""
    key = site.key("ci")
    content = site.store.path.read_text()
    assert key not in content
    assert key.removeprefix("frk_").partition(".")[0] not in content
    assert stat.S_IMODE(site.store.path.stat().st_mode) == 0o600
    for value in re.findall(r'"([^"]+)"', content):
        for text in (value, f"frk_{value}"):
            assert status(site, basic("ci", text)) == 401


def test_a_forged_key(site):
    """A signature by another secret, and a good one over other bytes."""
    key = site.key("ci")
    other = Site(site.store.path.parent / "other", rules=RULES)
    with ApiKeyStore(str(site.store.path)).changing() as change:
        _, _, forged = change.keys.make("ci", "forged", None, None)
    for text in (other.key("ci"), forged, key[:-1], key + "A", "frk_", "frk_a.b"):
        assert status(site, basic("ci", text)) == 401
    assert status(site, basic("ci", key)) == 404


def test_a_key_that_the_secret_of_the_store_signed(site):
    """Whoever reads the file can sign, and has no key: the digest is of the whole."""
    site.key("ci")
    keys = site.store.keys()
    signed = keys._serializer().dumps([site.last.id, "guessed"])
    assert status(site, basic("ci", f"frk_{signed}")) == 401


def make_many(path, user):
    """Make keys, in a process of its own."""
    store = ApiKeyStore(path)
    for number in range(10):
        with store.changing() as change:
            change.keys, _, _ = change.keys.make(user, f"{number}", None, None)


def test_many_writers(tmp_path):
    """No key is lost, and nothing is left behind."""
    path = str(tmp_path / "keys.json")
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=make_many, args=(path, f"u{number}"))
        for number in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(ApiKeyStore(path).keys().keys) == 40
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "keys.json",
        "keys.json.lock",
    ]


def test_the_commands(site, command):
    """A key is shown once; the list shows what it is; a revoked one is gone."""
    made = command("create", "--user", "ci", "--name", "builds", "--expires", "1h",
                   "-r", "team/*", "-a", "pull")  # fmt: skip
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert key.startswith("frk_")
    assert status(site, basic("ci", key)) == 404
    listed = command("list").output
    (line,) = listed.splitlines()
    key_id, user, name, until, limits = line.split("\t")
    assert (user, name, limits) == ("ci", "builds", "team/*:pull")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", until)
    assert key not in listed
    assert command("revoke", key_id).exit_code == 0
    assert status(site, basic("ci", key)) == 401
    assert command("revoke", key_id).exit_code == 1
    assert command("list").output == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--user", "ci"],
        ["--user", "anonymous", "--name", "x"],
        ["--user", "ci", "--name", "x", "--expires", "soon"],
        ["--user", "ci", "--name", "x", "--expires", "2020-01-01"],
        ["--user", "ci", "--name", "x", "--expires", "-1h"],
        ["--user", "ci", "--name", "x", "-r", "UPPER"],
        ["--user", "ci", "--name", "x", "-a", "write"],
    ],
)
def test_wrong_arguments(command, site, arguments):
    """They are told, and nothing is made."""
    assert command("create", *arguments).exit_code == 2
    assert not site.store.path.exists()
