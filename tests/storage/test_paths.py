"""Paths: the tree that is drawn is the tree that the functions give."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.digest import ENCODED_LENGTHS
from flaskreg.digest import Digest
from flaskreg.driver import check_path
from flaskreg.storage import paths


DIGEST = Digest.of(b"content")
SIGNATURE = Digest.of(b"signature", "sha512")
SESSION = "0189f1b0-0000-4000-8000-000000000000"

#: every function of the module, called, with what is a file or the link in it.
MADE = {
    "blob": (DIGEST,),
    "blob_data": (DIGEST,),
    "repository": ("a/b",),
    "manifests": ("a/b",),
    "layers": ("a/b",),
    "layer": ("a/b", DIGEST),
    "revisions": ("a/b",),
    "revision": ("a/b", DIGEST),
    "signatures": ("a/b", DIGEST),
    "signature": ("a/b", DIGEST, SIGNATURE),
    "tags": ("a/b",),
    "tag": ("a/b", "v1"),
    "tag_current": ("a/b", "v1"),
    "tag_index": ("a/b", "v1", DIGEST),
    "link": ("/directory",),
    "uploads": ("a/b",),
    "upload": ("a/b", SESSION),
    "upload_data": ("a/b", SESSION),
    "upload_started": ("a/b", SESSION),
    "upload_owner": ("a/b", SESSION),
    "hash_states": ("a/b", SESSION),
    "hash_state": ("a/b", SESSION, "sha256", 42),
    "all_referrers": ("a/b",),
    "referrers": ("a/b", DIGEST),
    "referrer": ("a/b", DIGEST, SIGNATURE),
}
LINKED = {"layer", "revision", "signature", "tag_current", "tag_index"}
FILES = {"blob_data", "upload_data", "upload_started", "upload_owner", "hash_state"}
FILES |= {"referrer"}


def call(name: str) -> str:
    """Return what a function of the module gives for its arguments above."""
    path: str = getattr(paths, name)(*MADE[name])
    return path


def drawn() -> Iterator[str]:
    """Yield the files of the tree in the docstring."""
    text = str(paths.__doc__).partition("::\n\n")[2].partition("\n\n")[0]
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        parents = [each for each in parents if each[0] < depth]
        path = "".join(each for _, each in parents) + line.strip()
        if path.endswith("/"):
            parents.append((depth, line.strip()))
        else:
            yield path


def generalised(path: str, made: tuple[object, ...]) -> str:
    """Return a path with its arguments as the drawing names them."""
    path = path.replace("/repositories/a/b/", "/repositories/<name>/")
    path = path.replace("/tags/v1/", "/tags/<tag>/").replace(SESSION, "<session id>")
    for digest in (each for each in made if isinstance(each, Digest)):
        encoded, algorithm = digest.encoded, digest.algorithm
        path = path.replace(f"/{encoded[:2]}/{encoded}", "/<first two of hex>/<hex>")
        path = path.replace(f"{algorithm}/{encoded}", "<algorithm>/<hex>")
        path = path.replace(f"{algorithm}-{encoded}", "<algorithm>-<hex>")
        path = path.replace(f"{algorithm}/<first", "<algorithm>/<first")
    return path.replace("sha256/42", "<algorithm>/<offset>")


def test_the_drawing_is_what_the_functions_give() -> None:
    """Each file of the tree is given by one function, and no other file is."""
    given_files = set()
    for name in LINKED:
        given_files.add(generalised(paths.link(call(name)), MADE[name]))
    for name in FILES:
        given_files.add(generalised(call(name), MADE[name]))
    assert given_files == set(drawn())


def test_every_function_is_looked_at() -> None:
    """A new path has to be drawn."""
    functions = {
        name
        for name, each in inspect.getmembers(paths, inspect.isfunction)
        if each.__module__ == paths.__name__ and not name.startswith("_")
    }
    assert functions == MADE.keys()


HEX = DIGEST.encoded
SIGNED = SIGNATURE.encoded
ROOT = "/docker/registry/v2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blob_data", f"{ROOT}/blobs/sha256/{HEX[:2]}/{HEX}/data"),
        ("layer", f"{ROOT}/repositories/a/b/_layers/sha256/{HEX}"),
        ("revision", f"{ROOT}/repositories/a/b/_manifests/revisions/sha256/{HEX}"),
        ("tag_current", f"{ROOT}/repositories/a/b/_manifests/tags/v1/current"),
        (
            "tag_index",
            f"{ROOT}/repositories/a/b/_manifests/tags/v1/index/sha256/{HEX}",
        ),
        (
            "signature",
            f"{ROOT}/repositories/a/b/_manifests/revisions/sha256/{HEX}"
            f"/signatures/sha512/{SIGNED}",
        ),
        ("upload_data", f"{ROOT}/repositories/a/b/_uploads/{SESSION}/data"),
        ("upload_started", f"{ROOT}/repositories/a/b/_uploads/{SESSION}/startedat"),
        (
            "hash_state",
            f"{ROOT}/repositories/a/b/_uploads/{SESSION}/hashstates/sha256/42",
        ),
        (
            "referrer",
            f"{ROOT}/repositories/a/b/_referrers/sha256/{HEX}/sha512-{SIGNED}",
        ),
    ],
)
def test_paths_are_those_of_distribution(name: str, expected: str) -> None:
    """Byte for byte, so that both can serve one tree."""
    assert call(name) == expected


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(list(ENCODED_LENGTHS)), st.binary(max_size=8))
def test_every_path_can_hold_content(algorithm: str, content: bytes) -> None:
    """No digest gives a path that a driver refuses."""
    digest = Digest.of(content, algorithm)
    check_path(paths.blob_data(digest))
    check_path(paths.link(paths.layer("a", digest)))
    check_path(paths.link(paths.signature("a", digest, digest)))
    check_path(paths.referrer("a", digest, digest))
    for name in MADE:
        check_path(call(name))
