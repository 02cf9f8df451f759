"""SIGHUP: what changed in the configuration holds, and no request is lost."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from .api import Api
from .images import OCI
from .images import Layout
from .servers import Server
from .tools import wait_until


pytestmark = pytest.mark.live


Change = Callable[[dict[str, Any]], None]
Edit = Callable[[Server, Change], None]


def write(server: Server, change: Change) -> None:
    """Change the configuration file of a server, in its place."""
    config = server.log.with_suffix(".yml")
    document = yaml.safe_load(config.read_text())
    change(document)
    config.write_text(yaml.safe_dump(document))


def replace(server: Server, change: Change) -> None:
    """Put another file in the place of the configuration file, as editors do."""
    config = server.log.with_suffix(".yml")
    document = yaml.safe_load(config.read_text())
    change(document)
    other = config.with_suffix(".new")
    other.write_text(yaml.safe_dump(document))
    other.replace(config)


def edit(server: Server, change: Change) -> None:
    """Change the configuration of a server, and tell it."""
    write(server, change)
    server.process.send_signal(signal.SIGHUP)


def marked(server: Server) -> str | None:
    """Return the header that the configuration adds."""
    return requests.get(f"{server.url}/v2/", timeout=10).headers.get("X-Mark")


def wait_for_mark(server: Server, mark: str) -> None:
    """Wait until all workers have it."""
    deadline, seen = time.monotonic() + 60, 0
    while time.monotonic() < deadline and seen < 20:
        seen = seen + 1 if marked(server) == mark else 0
        time.sleep(0.02)
    assert seen == 20, server.text()


def set_mark(mark: object) -> Callable[[dict[str, Any]], None]:
    """Return a change of the header."""

    def change(document: dict[str, Any]) -> None:
        document["http"]["headers"] = {"X-Mark": [mark]}

    return change


@pytest.mark.parametrize("edit", [edit, write, replace], ids=lambda it: it.__name__)
def test_changes_hold_and_no_request_is_lost(
    start_flaskreg: Callable[..., Server], edit: Edit
) -> None:
    """Requests go on all the while, and an upload that is under way arrives."""
    server = start_flaskreg({"http": {"headers": {"X-Mark": ["0"]}}}, workers=2)
    ended, failed, count = threading.Event(), [], [0]

    def ask() -> None:
        while not ended.is_set():
            try:
                answer = requests.get(f"{server.url}/v2/", timeout=20)
            except requests.RequestException as error:
                failed.append(str(error))
            else:
                count[0] += 1
                if answer.status_code != 200:
                    failed.append(answer.text)

    content = os.urandom(400_000)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()

    def slowly() -> Any:
        for at in range(0, len(content), 50_000):
            yield content[at : at + 50_000]
            time.sleep(0.5)

    answers: list[int] = []

    def push() -> None:
        url = f"{server.url}/v2/a/blobs/uploads/"
        location = requests.post(url, timeout=20).headers["Location"]
        answer = requests.put(
            f"{server.url}{location}&digest={digest}", data=slowly(), timeout=60
        )
        answers.append(answer.status_code)

    threads = [threading.Thread(target=run) for run in (ask, ask, push)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    for mark in ("1", "2"):
        edit(server, set_mark(mark))
        wait_for_mark(server, mark)
    ended.set()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert count[0] > 20
    assert answers == [201]


def test_the_level_of_the_log_changes(start_flaskreg: Callable[..., Server]) -> None:
    server = start_flaskreg({"http": {"headers": {"X-Mark": ["0"]}}}, workers=1)
    assert "level=debug" not in server.text()

    def change(document: dict[str, Any]) -> None:
        set_mark("1")(document)
        document["log"] |= {"level": "debug", "formatter": "json"}
        document["log"]["accesslog"] = {"disabled": False}

    edit(server, change)
    wait_for_mark(server, "1")
    assert '"level":"' in server.text()
    assert '"GET /v2/ HTTP/1.1" 200' in server.text()


WRONG = pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("auth", {"nobody": {}}, "nobody"),
        ("log", {"level": "loud"}, "log.level"),
        ("storages", {}, "storages"),
        ("http", {"addr": ":1", "tls": {"certificate": "/none"}}, "http.tls"),
    ],
)


@WRONG
def test_a_bad_edit_keeps_what_was(
    start_flaskreg: Callable[..., Server], key: str, value: object, named: str
) -> None:
    """The log says why, and the next good one is taken."""
    server = start_flaskreg({"http": {"headers": {"X-Mark": ["0"]}}}, workers=1)
    config = Path(server.log).with_suffix(".yml")
    good = config.read_text()

    def change(document: dict[str, Any]) -> None:
        document[key] = value

    edit(server, change)
    deadline = time.monotonic() + 30
    while "the configuration was not changed" not in server.text():
        assert time.monotonic() < deadline, server.text()
        time.sleep(0.05)
    assert named in server.text().partition("was not changed")[2]
    wait_for_mark(server, "0")
    config.write_text(good)
    edit(server, set_mark("1"))
    wait_for_mark(server, "1")


@WRONG
def test_a_bad_file_disturbs_nobody(
    start_flaskreg: Callable[..., Server], key: str, value: object, named: str
) -> None:
    """The log says once why, workers go on, and the next good one is taken."""
    server = start_flaskreg({"http": {"headers": {"X-Mark": ["0"]}}}, workers=2)
    config = server.log.with_suffix(".yml")
    wait_until(lambda: len(server.workers()) == 2, 30, "both workers")
    good, workers = config.read_text(), server.workers()

    def change(document: dict[str, Any]) -> None:
        document[key] = value

    write(server, change)
    wait_until(lambda: "was not changed" in server.text(), 30, "the error")
    wait_until(lambda: marked(server) == "0", 10, "an answer")
    # As long again as it took, in which nothing more is said or done.
    time.sleep(3)
    assert server.text().count("was not changed") == 1
    assert named in server.text().partition("was not changed")[2]
    assert server.workers() == workers
    config.write_text(good)
    write(server, set_mark("1"))
    wait_for_mark(server, "1")
    wait_until(lambda: not set(server.workers()) & set(workers), 60, "other workers")


def test_a_file_that_is_gone_is_waited_for(
    start_flaskreg: Callable[..., Server],
) -> None:
    """Nothing changes until there is one again."""
    server = start_flaskreg({"http": {"headers": {"X-Mark": ["0"]}}}, workers=1)
    config = server.log.with_suffix(".yml")
    good, workers = config.read_text(), server.workers()
    config.unlink()
    time.sleep(3)
    assert marked(server) == "0"
    assert server.workers() == workers
    config.write_text(good)
    write(server, set_mark("1"))
    wait_for_mark(server, "1")
    assert "was not changed" not in server.text()


def test_what_a_changed_file_changes(start_flaskreg: Callable[..., Server]) -> None:
    """Limits, users' access, what is deleted, and the level of the log."""
    server = start_flaskreg(
        {"http": {"headers": {"X-Mark": ["0"]}}, "manifests": {"maxbytes": 4_000_000}},
        workers=2,
    )
    content = b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}'
    manifest = content % OCI.index.encode()

    def ask(method: str, data: bytes = b"", user: str = "") -> int:
        """Ask on a connection of its own: an old one is answered by the old rules."""
        api = Api(server.url, "app")
        headers = {"Content-Type": OCI.index}
        if user:
            headers["Authorization"] = user
        answer = api.call(method, "manifests/latest", data=data, headers=headers)
        return answer.status_code

    assert ask("PUT", manifest + b" " * 2_000) == 201
    assert "level=info" not in server.text()

    def change(document: dict[str, Any]) -> None:
        set_mark("1")(document)
        document["log"]["level"] = "debug"
        document["manifests"] = {"maxbytes": 1_000}
        document["storage"]["delete"] = {"enabled": False}
        document["auth"] = {"silly": {"realm": "r", "service": "s"}}

    replace(server, change)
    wait_for_mark(server, "1")
    assert ask("PUT", manifest) == 401
    assert ask("PUT", manifest + b" " * 2_000, "anybody") == 413
    assert ask("PUT", manifest, "anybody") == 201
    assert ask("DELETE", user="anybody") == 405
    assert "level=info" in server.text()


def test_upstream_credentials(
    start_flaskreg: Callable[..., Server], tmp_path: Path, image: Layout
) -> None:
    """A password of an upstream that is put right in the file is used."""
    users = {"realm": "r", "path": str(tmp_path / "users")}
    upstream = start_flaskreg({"auth": {"htpasswd": users}}, workers=1)
    told = re.search(r"with user (\S+) and password ([\w-]+)", upstream.text())
    assert told, upstream.text()
    user, password = told.groups()
    there = Api(upstream.url, "app")
    there.session.auth = (user, password)
    there.push(image, "v1")
    proxy = {"remoteurl": upstream.url, "username": user, "password": "wrong"}
    server = start_flaskreg(
        {"http": {"headers": {"X-Mark": ["0"]}}, "proxy": proxy}, workers=2
    )
    refused = Api(server.url, "app").call("GET", "manifests/v1")
    assert refused.status_code >= 400

    def change(document: dict[str, Any]) -> None:
        set_mark("1")(document)
        document["proxy"]["password"] = password

    write(server, change)
    wait_for_mark(server, "1")
    Api(server.url, "app").check_holds(image, "v1")
    assert password not in server.text()
