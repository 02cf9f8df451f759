"""The audit log: every change and every refusal once, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import Client
from builders import MakeApp
from builders import blob_url
from builders import manifest_url
from builders import push_blob
from builders import push_image
from builders import start
from builders import uploads_url
from werkzeug.test import TestResponse

from flaskreg import hookimpl
from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.errors import Denied
from flaskreg.errors import Unauthorized


def basic(user: str, password: str = "canary") -> dict[str, str]:
    """Return the header of a login."""
    value = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {value}"}


class Names:
    """A plugin: everybody is who they say, ``eve`` may nothing, ``mallory`` is none."""

    @hookimpl
    def flaskreg_make_access_controller(self) -> AccessController:
        class Controller(AccessController):
            def authorize(
                self, headers: Mapping[str, str], accesses: Sequence[Access]
            ) -> Grant:
                header = headers.get("Authorization")
                if header is None:
                    raise Unauthorized("Basic")
                user = base64.b64decode(header.partition(" ")[2]).partition(b":")[0]
                if user == b"mallory":
                    raise Unauthorized("Basic")
                if user == b"eve":
                    raise Denied
                return Grant(Principal(user.decode()), tuple(accesses))

        return Controller()


class Alice(Client):
    """A client whose requests are alice's, unless they say otherwise."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request."""
        headers = basic("alice") | dict(kwargs.pop("headers", {}))
        return super().open(*args, headers=headers, **kwargs)


class Written:
    """An application whose audit log can be read."""

    def __init__(self, make_app: MakeApp, path: Path, **audit: Any) -> None:
        self.path = path
        log = {"audit": {"path": str(path), **audit}}
        self.client = Alice(make_app((Names(),), log=log))

    def lines(self) -> list[dict[str, Any]]:
        """Return what was written so far."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def done(self) -> list[tuple[str, str]]:
        """Return action and outcome of each line."""
        return [(line["action"], line["outcome"]) for line in self.lines()]


@pytest.fixture
def written(make_app: MakeApp, tmp_path: Path) -> Written:
    """An application with an audit log of changes."""
    return Written(make_app, tmp_path / "audit.log")


def test_a_push_is_each_blob_and_the_manifest(written: Written) -> None:
    """Who, what, where and with which digest; the steps of an upload are not."""
    digest = push_image(written.client, "team/app", "latest")
    lines = written.lines()
    assert {line["action"] for line in lines} == {"push"}
    last = lines[-1]
    assert (last["user"], last["repository"]) == ("alice", "team/app")
    assert (last["reference"], last["digest"]) == ("latest", digest)
    assert (last["status"], last["outcome"]) == (201, "done")
    assert "claimed" not in last
    assert len({line["id"] for line in lines}) == len(lines)


def test_deletes_mounts_and_cancelled_uploads(written: Written) -> None:
    client = written.client
    digest = push_blob(client, "a", b"content")
    client.post(uploads_url("b", mount=digest, **{"from": "a"}))
    client.delete(blob_url("a", digest))
    client.delete(start(client, "a"))
    assert written.done() == [
        ("push", "done"),
        ("mount", "done"),
        ("delete", "done"),
        ("cancel", "done"),
    ]


def test_what_is_refused_names_who_asked(written: Written) -> None:
    """Good credentials that do not suffice, and wrong ones; a challenge is neither."""
    client, url = written.client, manifest_url("a", "t")
    client.get(url, headers=basic("eve"))
    client.put(url, headers=basic("eve"), data=b"{}")
    client.get("/v2/", headers=basic("mallory"))
    lines = written.lines()
    assert [(line["action"], line["claimed"]) for line in lines] == [
        ("pull", "eve"),
        ("push", "eve"),
        ("access", "mallory"),
    ]
    assert {line["outcome"] for line in lines} == {"refused"}
    assert "canary" not in written.path.read_text()
    assert Client(client.application).get("/v2/").status_code == 401
    assert len(written.lines()) == 3


def test_a_push_that_failed_says_so(written: Written) -> None:
    written.client.put(manifest_url("a", "t"), data=b"no manifest")
    (line,) = written.lines()
    assert (line["outcome"], line["code"]) == ("failed", "MANIFEST_INVALID")


@pytest.mark.parametrize("pulls", [False, True])
def test_pulls_are_written_on_demand(
    make_app: MakeApp, tmp_path: Path, pulls: bool
) -> None:
    written = Written(make_app, tmp_path / "audit.log", pulls=pulls)
    digest = push_blob(written.client, "a", b"content")
    written.client.get(blob_url("a", digest))
    written.client.head(blob_url("a", digest))
    assert [action for action, _ in written.done()] == ["push"] + ["pull"] * pulls


def test_a_file_that_was_moved_away_is_made_again(written: Written) -> None:
    """As tools that rotate logs want it."""
    push_blob(written.client, "a", b"one")
    written.path.rename(written.path.with_suffix(".1"))
    push_blob(written.client, "a", b"two")
    assert len(written.lines()) == 1
