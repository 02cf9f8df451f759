"""Referrers: one file for each pair, merged with the lists that clients kept."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import ALGORITHMS
from builders import WatchedDriver
from builders import descriptor
from builders import encode
from builders import image
from builders import index

from flaskreg.digest import Digest
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.services import Repository
from flaskreg.services import SkipLayerVerification
from flaskreg.storage import paths
from flaskreg.storage.referrers import fallback_tag
from flaskreg.storage.registry import LocalRegistry
from flaskreg.storage.repository import LocalRepository

from .conftest import MakeRegistry


NAME = "team/app"
SUBJECT = image()
DIGEST = Digest.of(SUBJECT)


def about(
    subject: bytes = SUBJECT, number: int = 0, algorithm: str = "sha256"
) -> bytes:
    """Return a manifest about another."""
    return image(
        subject=descriptor(subject, OCI_MANIFEST, algorithm),
        artifactType=f"application/x-{number}",
        annotations={"number": str(number)},
    )


def put(repository: Repository, content: bytes, *tags: str) -> Digest:
    """Push a manifest whose blobs may be missing."""
    media_type = json.loads(content)["mediaType"]
    manifests = repository.manifests(SkipLayerVerification())
    return manifests.put(content, media_type, None, tags).digest


def listed(repository: Repository, subject: Digest = DIGEST) -> list[Digest]:
    """Return the digests of the referrers of a manifest."""
    return [each.digest for each in repository.referrers.iter_referrers(subject)]


@pytest.mark.parametrize("first", ["subject", "referrer"])
def test_a_subject_may_come_later(
    repository: LocalRepository, other: LocalRepository, first: str
) -> None:
    """Or never: a referrer is listed from its push on."""
    pushes = [SUBJECT, about()]
    for content in pushes if first == "subject" else pushes[::-1]:
        put(repository, content)
    for view in (repository, other):
        (found,) = view.referrers.iter_referrers(DIGEST)
        assert found.to_json() == {
            "mediaType": OCI_MANIFEST,
            "digest": Digest.of(about()),
            "size": len(about()),
            "artifactType": "application/x-0",
            "annotations": {"number": "0"},
        }
        assert listed(view, Digest.of(b"other")) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (image(), "application/vnd.oci.image.config.v1+json"),
        (image(artifactType="application/x-a"), "application/x-a"),
        (image(artifactType=""), "application/vnd.oci.image.config.v1+json"),
        (image(config_type="application/x-c"), "application/x-c"),
        (index(artifactType="application/x-i"), "application/x-i"),
        (index(), None),
    ],
)
def test_artifact_types(
    repository: LocalRepository, content: bytes, expected: str | None
) -> None:
    """The stated one, or for an image the type of its configuration."""
    subject = descriptor(SUBJECT, OCI_MANIFEST)
    put(repository, encode({**json.loads(content), "subject": subject}))
    (found,) = repository.referrers.iter_referrers(DIGEST)
    assert found.artifact_type == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_subjects_by_any_algorithm(repository: LocalRepository, algorithm: str) -> None:
    """A subject is known by the digest that its referrer has."""
    content = about(algorithm=algorithm)
    put(repository, content)
    assert listed(repository, Digest.of(SUBJECT, algorithm)) == [Digest.of(content)]
    other = "sha512" if algorithm != "sha512" else "sha256"
    assert listed(repository, Digest.of(SUBJECT, other)) == []


def test_a_referrer_is_one_file(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """Outside of what distribution walks, and never rewritten for another one."""
    first, second = put(repository, about(number=1)), put(repository, about(number=2))
    written = [path for path in driver.asked("put_content") if "/_referrers/" in path]
    assert written == [paths.referrer(NAME, DIGEST, each) for each in (first, second)]
    assert all("/_manifests/" not in path for path in written)
    document = json.loads(driver.get_content(written[0]))
    assert document["digest"] == first


def test_order_and_pages(repository: LocalRepository) -> None:
    """In the order of their digests, from any place."""
    expected = sorted(put(repository, about(number=number)) for number in range(10))
    assert listed(repository) == expected
    for at, digest in enumerate(expected):
        rest = repository.referrers.iter_referrers(DIGEST, digest)
        assert [each.digest for each in rest] == expected[at + 1 :]


def test_a_page_reads_no_more_than_it_shows(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """A list of thousands costs a list of names and a file for each that is shown."""
    for number in range(30):
        put(repository, about(number=number))
    driver.calls.clear()
    found = repository.referrers.iter_referrers(DIGEST)
    for _ in range(3):
        next(found)
    assert (
        len([each for each in driver.asked("get_content") if "_referrers" in each]) == 3
    )


def test_a_referrer_goes_with_its_manifest(
    repository: LocalRepository, other: LocalRepository
) -> None:
    """The subject's own delete leaves it, as it may come back."""
    put(repository, SUBJECT)
    first, second = put(repository, about(number=1)), put(repository, about(number=2))
    repository.manifests().delete(DIGEST)
    assert listed(other) == sorted([first, second])
    repository.manifests().delete(first)
    assert listed(other) == [second]
    repository.referrers.unlink(DIGEST, first)
    put(repository, about(number=1))
    assert listed(other) == sorted([first, second])


def test_a_referrer_pushed_by_another_digest_goes_too(
    repository: LocalRepository,
) -> None:
    """By whichever of its digests it is deleted."""
    content = about()
    digest = Digest.of(content, "sha512")
    view = repository.manifests(SkipLayerVerification())
    view.put(content, OCI_MANIFEST, digest)
    assert listed(repository) == [digest]
    view.delete(Digest.of(content))
    assert listed(repository) == []


def test_referrers_of_another_repository_are_not_listed(
    registry: LocalRegistry, repository: LocalRepository
) -> None:
    """Each repository has its own."""
    put(repository, about())
    assert listed(registry.repository("team/other")) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'"x"', b"\xff\xfe\xff"])
def test_a_damaged_referrer_is_left_out(
    repository: LocalRepository, driver: WatchedDriver, content: bytes
) -> None:
    """The others are listed, and pushing it again heals it."""
    good, bad = put(repository, about(number=1)), put(repository, about(number=2))
    driver.put_content(paths.referrer(NAME, DIGEST, bad), content)
    driver.put_content(paths.referrers(NAME, DIGEST) + "/no-digest", b"{}")
    assert listed(repository) == [good]
    put(repository, about(number=2))
    assert listed(repository) == sorted([good, bad])


def test_many_who_push_at_once_lose_nothing(make_registry: MakeRegistry) -> None:
    """Nothing is read, changed and written back."""

    def push(number: int) -> Digest:
        return put(make_registry().repository(NAME), about(number=number))

    with ThreadPoolExecutor(8) as pool:
        expected = sorted(pool.map(push, range(24)))
    assert listed(make_registry().repository(NAME)) == expected


# Lists that clients kept


def test_the_fallback_tag() -> None:
    """As the specification's schema makes it, for long digests too."""
    assert fallback_tag(DIGEST) == f"sha256-{DIGEST.encoded}"
    long = Digest.of(SUBJECT, "sha512")
    assert fallback_tag(long) == f"sha512-{long.encoded[:64]}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_list_that_a_client_kept_is_merged(
    make_registry: MakeRegistry, repository: LocalRepository, algorithm: str
) -> None:
    """What it lists and is here, and has the subject; each referrer once."""
    subject = Digest.of(SUBJECT, algorithm)
    known = about(number=1, algorithm=algorithm)
    old = about(number=2, algorithm=algorithm)
    for content in (known, old):
        put(repository, content)
    # The old one was pushed to a registry that knew nothing of referrers.
    repository.referrers.unlink(subject, Digest.of(old))
    assert listed(repository, subject) == [Digest.of(known)]
    elsewhere = about(b"another subject", 3)
    put(repository, elsewhere)
    kept = index(
        [
            descriptor(old, OCI_MANIFEST),
            descriptor(known, OCI_MANIFEST),
            descriptor(elsewhere, OCI_MANIFEST),
            descriptor(b"missing", OCI_MANIFEST),
        ]
    )
    put(repository, kept, fallback_tag(subject))
    expected = sorted([Digest.of(known), Digest.of(old)])
    for view in (repository, make_registry().repository(NAME)):
        assert listed(view, subject) == expected
        found = {each.digest: each for each in view.referrers.iter_referrers(subject)}
        assert found[Digest.of(old)].artifact_type == "application/x-2"
    repository.manifests().delete(Digest.of(old))
    assert listed(repository, subject) == [Digest.of(known)]


def test_a_fallback_tag_that_is_no_index_is_no_list(
    repository: LocalRepository,
) -> None:
    """Anybody may use such a tag for something else."""
    digest = put(repository, about())
    put(repository, SUBJECT, fallback_tag(DIGEST))
    assert listed(repository) == [digest]


def test_a_damaged_list_of_a_client_is_no_list(
    make_registry: MakeRegistry, repository: LocalRepository, driver: WatchedDriver
) -> None:
    """The referrers that we know are listed all the same."""
    digest = put(repository, about())
    kept = index([descriptor(SUBJECT, OCI_MANIFEST)])
    repository.manifests(SkipLayerVerification()).put(
        kept, OCI_INDEX, None, [fallback_tag(DIGEST)]
    )
    for content in (b"", b"{", b'{"schemaVersion":2,"manifests":[{"digest":"x"}]}'):
        driver.put_content(paths.blob_data(Digest.of(kept)), content)
        assert listed(make_registry().repository(NAME)) == [digest]
