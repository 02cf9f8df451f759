"""Errors: the tree of the docstring is the tree of the classes, and all render."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator

import pytest

from flaskreg import errors
from flaskreg.errors import RegistryError
from flaskreg.errors import SeveralErrors
from flaskreg.errors import Unauthorized
from flaskreg.routes.render import render


#: the table "Error Codes" of the OCI distribution specification.
SPECIFIED = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}
#: what CNCF distribution has besides, and what no path of the API is answered with.
OTHER = {
    "PAGINATION_NUMBER_INVALID",
    "RANGE_INVALID",
    "TAG_INVALID",
    "UNAVAILABLE",
    "UNKNOWN",
    "NOT_FOUND",
}


def subclasses(base: type[RegistryError]) -> Iterator[type[RegistryError]]:
    """Yield the classes of the module below *base*."""
    for each in base.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from subclasses(each)


CLASSES = sorted(subclasses(RegistryError), key=lambda each: each.__name__)
EVERY: list[type[RegistryError]] = [RegistryError, *CLASSES]


def drawn() -> dict[str, tuple[str, str, str]]:
    """Return parent, status and code of each class as the docstring draws them."""
    tree: dict[str, tuple[str, str, str]] = {}
    parents: dict[int, str] = {}
    text = str(errors.__doc__).partition("::\n\n")[2].partition("\n\n")[0]
    for line in text.splitlines():
        name, status, code = (line.split() + ["", ""])[:3]
        depth = len(line) - len(line.lstrip())
        tree[name] = (parents.get(depth - 2, ""), status, code)
        parents[depth] = name
    return tree


def make(kind: type[RegistryError]) -> RegistryError:
    """Make an error of any class."""
    if kind is SeveralErrors:
        return SeveralErrors([errors.ManifestBlobUnknown("a"), errors.DigestInvalid()])
    if kind is Unauthorized:
        return Unauthorized('Basic realm="r"', [])
    return kind({"why": "so"})


def test_every_class_is_drawn() -> None:
    """The docstring and the module have the same classes, in order."""
    tree = drawn()
    assert tree.keys() == {each.__name__ for each in EVERY}
    children = [name for name, (above, *_) in tree.items() if above == "RegistryError"]
    assert children == [*sorted(children[:-1]), "SeveralErrors"]


@pytest.mark.parametrize("kind", CLASSES)
def test_the_drawing_is_true(kind: type[RegistryError]) -> None:
    """Each class has the parent, the status and the code that are drawn."""
    parent, status, code = drawn()[kind.__name__]
    assert kind.__base__ is getattr(errors, parent)
    if kind is not SeveralErrors:
        assert (status, code) == (str(kind.status), kind.code)


def test_every_code_of_the_specification_has_a_class() -> None:
    """And there is no code that clients could not know of."""
    assert {each.code for each in EVERY} == SPECIFIED | OTHER


@pytest.mark.parametrize("kind", CLASSES)
def test_codes_and_statuses_have_their_form(kind: type[RegistryError]) -> None:
    """A code is upper-case letters and underscores; a status is an error's."""
    assert re.fullmatch("[A-Z_]+", kind.code)
    assert 400 <= kind.status < 600
    assert kind.message
    assert inspect.getdoc(kind)


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_renders(kind: type[RegistryError]) -> None:
    """The answer is the specification's JSON, with the status and the headers."""
    error = make(kind)
    answer = render(error)
    assert isinstance(answer.body, bytes)
    assert answer.status == error.status
    headers = dict(answer.headers)
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(answer.body))
    assert answer.body.endswith(b"}\n")
    document = json.loads(answer.body)
    assert list(document) == ["errors"]
    first = document["errors"][0]
    assert (first["code"], first["message"]) == (error.code, error.message)


def test_a_detail_that_is_not_given_is_left_out() -> None:
    """``null`` is no detail; an empty list is one."""
    assert errors.Denied().entries() == [
        {"code": "DENIED", "message": errors.Denied.message}
    ]
    assert errors.Denied([]).entries()[0]["detail"] == []


def test_a_message_of_its_own() -> None:
    """An instance may say more than its class, and nobody else then does."""
    error = errors.Denied(message="not today")
    assert error.entries()[0]["message"] == "not today"
    assert errors.Denied().message != "not today"
    assert str(errors.Denied("why")) == f"{errors.Denied.message}: why"
    assert str(error) == "not today"


def test_headers_are_an_instances_own() -> None:
    """Headers of one error do not show up at another."""
    given = {"Retry-After": "1"}
    error = errors.Unavailable(headers=given)
    error.headers["Range"] = "0-0"
    assert given == {"Retry-After": "1"}
    assert errors.Unavailable().headers == {}
    assert ("Retry-After", "1") in render(error).headers


def test_a_challenge_is_a_header() -> None:
    """An UNAUTHORIZED answer tells how to get credentials."""
    error = Unauthorized('Bearer realm="r"')
    assert error.challenge == error.headers["WWW-Authenticate"] == 'Bearer realm="r"'


def test_several_errors_have_the_status_of_the_first() -> None:
    """Each has its entries, in order; none at all is a mistake."""
    error = SeveralErrors([errors.DigestInvalid(), make(SeveralErrors)])
    assert (error.status, error.code) == (400, "DIGEST_INVALID")
    assert [entry["code"] for entry in error.entries()] == [
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "DIGEST_INVALID",
    ]
    with pytest.raises(IndexError):
        SeveralErrors([])
