"""Errors as answers: one place, one form, and nothing that is nobody's business."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp
from builders import WatchedDriver
from builders import descriptor
from builders import image
from builders import push_blob
from builders import push_manifest
from builders import refused
from builders import send
from builders import start
from builders import tree
from builders import with_digest
from werkzeug import exceptions
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from flaskreg.app import RegistryApp
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import FileWriter
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageFull
from flaskreg.errors import Denied
from flaskreg.errors import RegistryError
from flaskreg.routes.answer import Answer
from flaskreg.routes.answer import empty_answer
from flaskreg.routes.answer import json_answer
from flaskreg.routes.answer import status_line
from flaskreg.routes.render import render
from flaskreg.storage import paths


def parts(answer: Answer) -> tuple[int, str, dict[str, str]]:
    """Return status, code and headers of an error's answer."""
    assert isinstance(answer.body, bytes)
    (error,) = json.loads(answer.body)["errors"]
    headers = dict(answer.headers)
    assert headers.pop("Content-Type") == "application/json"
    assert headers.pop("Content-Length") == str(len(answer.body))
    return answer.status, error["code"], headers


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Denied(), (403, "DENIED", {})),
        (StorageFull("/a"), (507, "UNAVAILABLE", {})),
        (DriverError("/a", "Input/output error"), (503, "UNAVAILABLE", {})),
        (PathNotFound("/secret/path"), (503, "UNAVAILABLE", {})),
        (RuntimeError("secret"), (500, "UNKNOWN", {})),
        (KeyError("secret"), (500, "UNKNOWN", {})),
        (exceptions.NotFound(), (404, "NOT_FOUND", {})),
        (
            exceptions.MethodNotAllowed(["GET", "HEAD"]),
            (405, "UNSUPPORTED", {"Allow": "GET, HEAD"}),
        ),
        (exceptions.BadRequest("secret"), (400, "UNSUPPORTED", {})),
        (exceptions.RequestEntityTooLarge(), (413, "UNSUPPORTED", {})),
        (
            exceptions.ServiceUnavailable(retry_after=7),
            (503, "UNKNOWN", {"Retry-After": "7"}),
        ),
        (exceptions.InternalServerError(), (500, "UNKNOWN", {})),
        (
            exceptions.HTTPException(response=Response("secret", 418, {"X-A": "b"})),
            (418, "UNSUPPORTED", {}),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_has_the_same_form(
    error: Exception, expected: tuple[int, str, dict[str, str]]
) -> None:
    """Status, code, and those headers that a client needs; never what went wrong."""
    answer = render(error)
    assert parts(answer) == expected
    assert b"secret" not in bytes(answer.body)  # type: ignore[arg-type]


def test_what_nobody_expected_is_logged_with_its_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For whoever runs the registry, and not for its clients."""
    try:
        raise RuntimeError("the secret of the trace")
    except RuntimeError as error:
        render(error)
    assert "the secret of the trace" in caplog.text
    assert "Traceback" in caplog.text
    caplog.clear()
    render(Denied())
    render(exceptions.NotFound())
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "200 OK"),
        (206, "206 Partial Content"),
        (404, "404 Not Found"),
        (429, "429 Too Many Requests"),
        (507, "507 Insufficient Storage"),
        (599, "599 Unknown"),
    ],
)
def test_status_lines(status: int, expected: str) -> None:
    """A status has its phrase, or one."""
    assert status_line(status) == expected


def test_json_is_as_distribution_writes_it() -> None:
    """Compact, with a newline at the end, and characters as themselves."""
    answer = json_answer({"name": "a/b", "tags": ["ä"]}, [("Link", "x")])
    assert answer.body == '{"name":"a/b","tags":["ä"]}\n'.encode()
    assert answer.headers == [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(bytes(answer.body)))),
        ("Link", "x"),
    ]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_character_is_sent_somehow(text: str) -> None:
    """JSON that is read from a client or a disk may hold it; an answer has none."""
    answer = json_answer({"detail": text})
    json.loads(bytes(answer.body))  # type: ignore[arg-type]
    assert parts(render(RegistryError({"name": text})))[0] == 500


def test_no_body_has_a_length() -> None:
    """A client that waits for one would wait for long."""
    assert empty_answer(202, [("A", "b")]).headers == [
        ("A", "b"),
        ("Content-Length", "0"),
    ]


# The storage fails


class Failing(WatchedDriver):
    """Fails with an error for all paths with an ending."""

    ending: str | None = None
    error: type[DriverError] = StorageFull

    def _check(self, path: str) -> None:
        if self.ending is not None and path.endswith(self.ending):
            raise self.error(path)

    def publish(self, contents: Any, moves: Any = (), exclusive: Any = ()) -> None:
        """Fail or hand on."""
        for path, _ in contents:
            self._check(path)
        super().publish(contents, moves, exclusive)

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Fail or hand on."""
        self._check(path)
        super().put_content(path, content, durable=durable)

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Fail or hand on."""
        self._check(path)
        return super().writer(path, append_at)


@pytest.fixture
def failing() -> Failing:
    """Return a driver that fails when it is told to."""
    return Failing(InMemoryDriver())


@pytest.fixture
def full(make_app: MakeApp, failing: Failing) -> Client:
    """Return a client of a registry on it."""
    return Client(make_app((GivenDriver(failing),)))


def test_a_full_disk_is_told_and_heals(full: Client, failing: Failing) -> None:
    """Each write is 507, nothing half is there, and reads and deletes go on."""
    digest = push_blob(full, "app", b"{}")
    location = full.patch(start(full, "app")).headers["Location"]
    fresh = start(full, "app")
    before = tree(failing.inner)
    writes: list[tuple[str, Callable[[], TestResponse]]] = [
        ("/startedat", lambda: full.patch(fresh, data=b"chunk")),
        ("/data", lambda: full.put(with_digest(fresh, digest), data=b"{}")),
        ("/data", lambda: full.patch(location, data=b"chunk")),
        ("/data", lambda: full.put(with_digest(location, digest), data=b"{}")),
        ("/data", lambda: push_manifest(full, "app", image(), "latest")),
        ("/current/link", lambda: push_manifest(full, "app", image(), "latest")),
    ]
    for ending, write in writes:
        failing.ending = ending
        refused(write(), 507, "UNAVAILABLE")
        assert tree(failing.inner) == before
        assert full.get(f"/v2/app/blobs/{digest}").status_code == 200
        assert full.get("/v2/").status_code == 200
    failing.ending = None
    assert push_manifest(full, "app", image(), "latest").status_code == 201
    assert full.put(with_digest(location, digest), data=b"{}").status_code == 201
    failing.ending = "/link"
    assert full.delete(f"/v2/app/blobs/{digest}").status_code == 202


def test_a_storage_that_fails_is_told_without_its_paths(
    full: Client, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    """503 for the client, the path for the log."""
    failing.error, failing.ending = DriverError, "/startedat"
    with caplog.at_level(logging.ERROR, "flaskreg"):
        response = full.patch(start(full, "app"), data=b"chunk")
    refused(response, 503, "UNAVAILABLE")
    assert "docker" not in response.text
    assert "/docker/registry/v2" in caplog.text


def test_a_referrer_that_cannot_be_sent_breaks_no_list(
    client: Client, app: RegistryApp
) -> None:
    """Such a one may be on a disk that another version wrote."""
    subject = Digest.of(b"subject")
    document = descriptor(b"x", annotations={"a": "\ud800"})
    path = paths.referrer("app", subject, Digest.of(b"x"))
    app.driver.put_content(path, json.dumps(document).encode())
    response = client.get(f"/v2/app/referrers/{subject}")
    assert response.status_code == 200
    json.loads(response.data)


# Of Flask


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/other", 404, "NOT_FOUND"),
        ("GET", "/v1/", 404, "NOT_FOUND"),
        ("GET", "/v2/app", 404, "NOT_FOUND"),
        ("DELETE", "/", 405, "UNSUPPORTED"),
        ("BREW", "/v2/", 405, "UNSUPPORTED"),
        ("get", "/v2/", 405, "UNSUPPORTED"),
        ("GET", "/v2/A/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/%00/tags/list", 400, "NAME_INVALID"),
    ],
)
def test_what_flask_refuses_has_the_same_form(
    app: RegistryApp, method: str, target: str, status: int, code: str
) -> None:
    """JSON with a code, whoever found out."""
    answer = send(app, method, target)
    assert (answer.code, answer.codes()) == (status, [code])
