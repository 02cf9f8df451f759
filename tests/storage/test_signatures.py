"""Signatures of revisions, in the layout of docker/distribution 2.0 to 2.4."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import WatchedDriver
from builders import tree

from flaskreg.digest import Digest
from flaskreg.storage import paths
from flaskreg.storage.registry import LocalRegistry
from flaskreg.storage.repository import LocalRepository

from .conftest import MakeRegistry


NAME = "team/app"
REVISION = Digest.of(b"a manifest of schema 1")
ROOT = "/docker/registry/v2"


def test_the_layout_byte_for_byte(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """A signature is a blob, and a link below its revision."""
    repository.signatures.put(REVISION, b"signature one", b"signature two")
    expected = {}
    for content in (b"signature one", b"signature two"):
        hexadecimal = Digest.of(content).encoded
        data = f"{ROOT}/blobs/sha256/{hexadecimal[:2]}/{hexadecimal}/data"
        link = (
            f"{ROOT}/repositories/team/app/_manifests/revisions/sha256/"
            f"{REVISION.encoded}/signatures/sha256/{hexadecimal}/link"
        )
        expected[data] = content
        expected[link] = f"sha256:{hexadecimal}".encode()
    assert tree(driver.inner) == expected


def test_they_come_back_in_the_order_of_their_digests(
    repository: LocalRepository, other: LocalRepository
) -> None:
    """Each once, however often it was put; those of another revision are its own."""
    contents = [f"signature {number}".encode() for number in range(6)]
    repository.signatures.put(REVISION, *contents[:4])
    repository.signatures.put(REVISION, *contents[2:])
    other.signatures.put(Digest.of(b"another manifest"), b"another signature")
    for view in (repository, other):
        found = view.signatures.get(REVISION)
        assert list(found) == sorted(contents, key=Digest.of)
    repository.signatures.put(REVISION)
    assert len(repository.signatures.get(REVISION)) == 6


def test_a_revision_without_signatures(repository: LocalRepository) -> None:
    """It has none, known or not."""
    assert list(repository.signatures.get(REVISION)) == []


def test_signatures_of_another_repository(
    registry: LocalRegistry, repository: LocalRepository
) -> None:
    """They are not read there, nor are they blobs of a repository."""
    repository.signatures.put(REVISION, b"signature")
    assert list(registry.repository("team/other").signatures.get(REVISION)) == []
    with pytest.raises(Exception, match="blob unknown"):
        repository.blobs.stat(Digest.of(b"signature"))


def test_a_damaged_signature_is_left_out(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """A link that is none, content that is gone, a name that is no digest."""
    contents = [b"one", b"two", b"three"]
    repository.signatures.put(REVISION, *contents)
    one, two, _ = (Digest.of(content) for content in contents)
    driver.put_content(paths.link(paths.signature(NAME, REVISION, one)), b"")
    driver.delete(paths.blob_data(two))
    base = paths.signatures(NAME, REVISION)
    driver.put_content(f"{base}/sha256/no-digest/link", b"x")
    driver.put_content(f"{base}/md5/abc/link", b"x")
    assert list(repository.signatures.get(REVISION)) == [b"three"]


def test_they_are_read_while_others_are_put(make_registry: MakeRegistry) -> None:
    """Whoever reads sees whole signatures, and in the end all of them."""
    contents = {f"signature {number}".encode() * 50 for number in range(24)}
    stores = [make_registry().repository(NAME).signatures for _ in range(4)]

    def put(content: bytes) -> int:
        store = stores[hash(content) % 4]
        store.put(REVISION, content)
        seen = set(store.get(REVISION))
        assert content in seen
        assert seen <= contents
        return len(seen)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, contents))
    assert set(stores[0].get(REVISION)) == contents
