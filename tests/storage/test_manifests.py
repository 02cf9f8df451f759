"""Manifests: exact bytes by digest, options in their order, tags and referrers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import ALGORITHMS
from builders import WatchedDriver
from builders import descriptor
from builders import encode
from builders import image
from builders import index
from builders import tree

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.errors import BlobUnknown
from flaskreg.errors import Denied
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import RegistryError
from flaskreg.errors import SeveralErrors
from flaskreg.errors import Unsupported
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestOption
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.services import AddEtagToTag
from flaskreg.services import ManifestNotModified
from flaskreg.services import Repository
from flaskreg.services import SkipLayerVerification
from flaskreg.storage import paths
from flaskreg.storage.registry import LocalRegistry
from flaskreg.storage.repository import LocalRepository

from .conftest import MakeRegistry


NAME = "team/app"
CONFIG = b"{}"
IMAGE = image()
DIGEST = Digest.of(IMAGE)


@pytest.fixture(autouse=True)
def config(repository: LocalRepository, driver: WatchedDriver) -> None:
    """Push the configuration of every image."""
    repository.blobs.put(CONFIG, "application/octet-stream")
    driver.calls.clear()


def put(
    repository: Repository, content: bytes = IMAGE, *tags: str, digest: str = ""
) -> Manifest:
    """Push a manifest of the type that it states."""
    media_type = json.loads(content).get("mediaType", OCI_MANIFEST)
    given = Digest(digest) if digest else None
    return repository.manifests().put(content, media_type, given, tags)


# Put and get


@pytest.mark.parametrize("algorithm", [None, *ALGORITHMS])
@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (OCI_MANIFEST, image()),
        (DOCKER_MANIFEST, image(media_type=DOCKER_MANIFEST)),
        (OCI_INDEX, index()),
        (DOCKER_LIST, index(media_type=DOCKER_LIST)),
        (OCI_MANIFEST, json.dumps(json.loads(image()), indent=3).encode() + b"\n \n"),
        (OCI_MANIFEST, encode({**json.loads(image()), "mediaType": None})),
        (OCI_INDEX, encode({"schemaVersion": 2, "manifests": [], "mediaType": ""})),
    ],
)
def test_a_manifest_comes_back_byte_for_byte(
    make_registry: MakeRegistry,
    repository: LocalRepository,
    other: LocalRepository,
    media_type: str,
    content: bytes,
    algorithm: str | None,
) -> None:
    """By the digest it was pushed by, and its canonical one, in any process."""
    digest = Digest.of(content, algorithm) if algorithm else None
    manifest = repository.manifests().put(content, media_type, digest)
    assert manifest.digest == (digest or Digest.of(content))
    for view in (repository, other, make_registry().repository(NAME)):
        for known in {manifest.digest, Digest.of(content)}:
            assert view.manifests().exists(known)
            for _ in range(2):
                found = view.manifests().get(known)
                assert (found.content, found.media_type) == (content, media_type)
                assert found.digest == known
                assert found.descriptor.size == len(content)


def test_the_layout_is_distributions(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """Content, then the revision, then the history of a tag, then the tag."""
    before = tree(driver.inner)
    driver.calls.clear()
    put(repository, IMAGE, "v1", "v2")
    revision = paths.link(paths.revision(NAME, DIGEST))
    expected = [paths.blob_data(DIGEST), revision]
    for tag in ("v1", "v2"):
        expected.append(paths.link(paths.tag_index(NAME, tag, DIGEST)))
        expected.append(paths.link(paths.tag_current(NAME, tag)))
    assert driver.asked("put_content") == expected
    new = {
        path: each for path, each in tree(driver.inner).items() if path not in before
    }
    assert new == {
        path: IMAGE if path.endswith("/data") else DIGEST.encode() for path in expected
    }


def test_without_a_media_type_it_is_the_one_that_is_stated(
    repository: LocalRepository,
) -> None:
    """A client that says nothing with its push has said it in the document."""
    for content, expected in ((IMAGE, OCI_MANIFEST), (index(), OCI_INDEX)):
        assert repository.manifests().put(content, "").media_type == expected


def test_a_wrong_digest_stores_nothing(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """What the client says has to be what the bytes are, by its own algorithm."""
    before = tree(driver.inner)
    for algorithm in ALGORITHMS:
        with pytest.raises(DigestInvalid):
            put(repository, IMAGE, digest=Digest.of(b"other", algorithm))
    assert tree(driver.inner) == before


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", OCI_MANIFEST),
        (b"{", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (b"null", OCI_MANIFEST),
        (b'"text"', OCI_INDEX),
        (b"\xff\xfe", OCI_INDEX),
        (b"[" * 100_000, OCI_MANIFEST),
        (b'{"a":' * 100_000, OCI_INDEX),
        (b'{"schemaVersion": 1' + b"0" * 10_000 + b"}", OCI_MANIFEST),
        (IMAGE, "application/json"),
        (b"{}", OCI_MANIFEST),
        (b'{"schemaVersion":1}', OCI_MANIFEST),
        (b'{"schemaVersion":"2"}', OCI_INDEX),
        (b'{"schemaVersion":2}', OCI_MANIFEST),
        (b'{"schemaVersion":true}', OCI_INDEX),
        (image(media_type=DOCKER_MANIFEST), OCI_MANIFEST),
        (index(), OCI_MANIFEST),
        (image(), OCI_INDEX),
        (image(manifests=[]), OCI_MANIFEST),
        (index(layers=[]), OCI_INDEX),
        (IMAGE[:-1] + b',"schemaVersion":2}', OCI_MANIFEST),
        (encode({**json.loads(IMAGE), "mediaType": ""}), DOCKER_MANIFEST),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_manifest_of_its_type_is_refused(
    repository: LocalRepository, driver: WatchedDriver, content: bytes, media_type: str
) -> None:
    """And stores nothing, be it ever so deep or large."""
    before = tree(driver.inner)
    with pytest.raises(ManifestInvalid):
        repository.manifests().put(content, media_type, None, ["v1"])
    assert tree(driver.inner) == before


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + IMAGE,
        IMAGE.decode().encode("utf-16"),
        IMAGE.decode().encode("utf-32-le"),
        IMAGE[:-1] + b',"a":NaN}',
        IMAGE[:-1] + b',"a":[-Infinity]}',
        IMAGE[:-1] + b',"annotations":{"a":"\\ud800"}}',
    ],
    ids=["bom", "utf-16", "utf-32", "nan", "infinity", "surrogate"],
)
def test_a_manifest_is_json_to_every_reader(
    repository: LocalRepository, driver: WatchedDriver, content: bytes
) -> None:
    """What only Python takes for JSON, other registries and clients cannot read."""
    before = tree(driver.inner)
    with pytest.raises(ManifestInvalid):
        repository.manifests().put(content, OCI_MANIFEST, None, ["v1"])
    assert tree(driver.inner) == before


def test_each_missing_reference_is_an_error(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """One for each digest, in their order; nothing is stored."""
    before = tree(driver.inner)
    layers = [b"one", b"two", b"one", b"three"]
    repository.blobs.put(b"two", "application/octet-stream")
    with pytest.raises(SeveralErrors) as caught:
        put(repository, image(layers=layers), "v1")
    missing = [Digest.of(b"one"), Digest.of(b"three")]
    assert [entry["detail"] for entry in caught.value.entries()] == missing
    assert {each.code for each in caught.value.errors} == {"MANIFEST_BLOB_UNKNOWN"}
    assert tree(driver.inner).keys() - before.keys() == {
        paths.blob_data(Digest.of(b"two")),
        paths.link(paths.layer(NAME, Digest.of(b"two"))),
    }


def test_content_of_another_repository_is_no_reference(
    registry: LocalRegistry, repository: LocalRepository
) -> None:
    """A manifest cannot make a blob or a manifest of elsewhere readable."""
    elsewhere = registry.repository("team/other")
    elsewhere.blobs.put(b"secret layer", "application/octet-stream")
    elsewhere.blobs.put(CONFIG, "application/octet-stream")
    put(elsewhere, image(annotations={"a": "b"}))
    with pytest.raises(SeveralErrors):
        put(repository, image(layers=[b"secret layer"]))
    child = descriptor(image(annotations={"a": "b"}), OCI_MANIFEST)
    with pytest.raises(SeveralErrors):
        put(repository, index([child]))


def test_a_manifest_is_read_through_the_repositorys_own_link(
    registry: LocalRegistry, repository: LocalRepository, driver: WatchedDriver
) -> None:
    """Another repository's manifest is unknown here, though it is in memory."""
    put(repository)
    stranger = registry.repository("team/other")
    for call in (stranger.manifests().get, stranger.manifests().delete):
        with pytest.raises(ManifestUnknown):
            call(DIGEST)
    assert not stranger.manifests().exists(DIGEST)
    driver.delete(paths.revision(NAME, DIGEST))
    with pytest.raises(ManifestUnknown):
        repository.manifests().get(DIGEST)


def test_a_manifest_is_no_blob(repository: LocalRepository) -> None:
    """Nor is a blob a manifest, though both are content."""
    put(repository)
    with pytest.raises(BlobUnknown):
        repository.blobs.stat(DIGEST)
    repository.blobs.put(index(), "application/octet-stream")
    with pytest.raises(ManifestUnknown):
        repository.manifests().get(Digest.of(index()))


def test_a_revision_whose_content_is_gone(
    make_registry: MakeRegistry, repository: LocalRepository, driver: WatchedDriver
) -> None:
    """It is unknown, and pushing it again heals it."""
    put(repository)
    driver.delete(paths.blob_data(DIGEST))
    fresh = make_registry().repository(NAME)
    assert not fresh.manifests().exists(DIGEST)
    with pytest.raises(ManifestUnknown):
        fresh.manifests().get(DIGEST)
    put(fresh)
    assert make_registry().repository(NAME).manifests().get(DIGEST).content == IMAGE


def test_a_stored_manifest_that_nobody_reads_is_an_error_of_its_own(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """Such as one of schema 1 that an old registry left: told, and no crash."""
    content = encode({"schemaVersion": 1, "name": "a", "tag": "b"})
    digest = Digest.of(content)
    driver.put_content(paths.blob_data(digest), content)
    link = paths.link(paths.revision(NAME, digest))
    driver.put_content(link, digest.encode())
    with pytest.raises(RegistryError) as caught:
        repository.manifests().get(digest)
    assert caught.value.status < 500


def test_large_manifests_are_not_kept_in_memory(
    make_registry: MakeRegistry, repository: LocalRepository, driver: WatchedDriver
) -> None:
    """A small one is read once in a process, a large one each time."""
    large = index(annotations={"a": "x" * 300_000})
    for content, expected in ((IMAGE, 1), (large, 3)):
        put(repository, content)
        digest = Digest.of(content)
        view = make_registry().repository(NAME).manifests()
        driver.calls.clear()
        for _ in range(3):
            assert view.get(digest).content == content
        assert len(driver.asked("get_content", paths.blob_data(digest))) == expected


# Options


class Noted(ManifestOption):
    """Notes what it is asked, and refuses on demand."""

    def __init__(self, name: str, notes: list[str], verifies: bool = False) -> None:
        self.name = name
        self.notes = notes
        self.verifies_references = verifies
        self.refuses = ""

    def _note(self, what: str) -> None:
        self.notes.append(f"{self.name} {what}")
        if self.refuses == what:
            raise Denied(message=what)

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Note it."""
        assert not repository.manifests().exists(manifest.digest)
        self._note("before_put")

    def after_put(self, repository: Repository, manifest: Manifest) -> None:
        """Note it."""
        assert repository.manifests().exists(manifest.digest)
        self._note("after_put")

    def before_delete(self, repository: Repository, digest: Digest) -> None:
        """Note it."""
        assert repository.manifests().exists(digest)
        self._note("before_delete")

    def warnings(self, repository: Repository, manifest: Manifest) -> Sequence[str]:
        """Warn."""
        return (f"{self.name} of {repository.name} {manifest.digest[:10]}",)


def test_options_are_asked_in_their_order(make_registry: MakeRegistry) -> None:
    """Before and after a put, before a delete, and for what the client is told."""
    notes: list[str] = []
    options = [Noted("b", notes), Noted("a", notes, verifies=True)]
    repository = make_registry(manifest_options=options).repository(NAME)
    manifest = put(repository)
    repository.manifests().delete(DIGEST)
    phases = ("before_put", "after_put", "before_delete")
    assert notes == [f"{name} {phase}" for phase in phases for name in "ba"]
    told = repository.manifests().warnings(manifest)
    assert told == [f"{name} of team/app {DIGEST[:10]}" for name in "ba"]


def test_a_refusal_leaves_everything_as_it_was(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """The first that refuses is the last that is asked."""
    notes: list[str] = []
    options = [Noted("a", notes), Noted("b", notes), Noted("c", notes)]
    repository = make_registry(manifest_options=options).repository(NAME)
    before = tree(driver.inner)
    options[1].refuses = "before_put"
    with pytest.raises(Denied):
        put(repository, IMAGE, "v1")
    assert notes == ["a before_put", "b before_put"]
    assert tree(driver.inner) == before
    options[1].refuses = "before_delete"
    put(repository, IMAGE, "v1")
    before = tree(driver.inner)
    with pytest.raises(Denied):
        repository.manifests().delete(DIGEST)
    assert tree(driver.inner) == before


def test_skip_layer_verification(make_registry: MakeRegistry) -> None:
    """It leaves out the options that look for what is listed, and no other."""
    notes: list[str] = []
    options = [Noted("a", notes, verifies=True), Noted("b", notes)]
    repository = make_registry(manifest_options=options).repository(NAME)
    view = repository.manifests(SkipLayerVerification())
    view.put(IMAGE, OCI_MANIFEST)
    assert notes == ["b before_put", "b after_put"]


def test_skip_layer_verification_takes_what_a_cache_has_to(
    repository: LocalRepository,
) -> None:
    """Manifests before their layers, an index before its manifests; never nonsense."""
    view = repository.manifests(SkipLayerVerification())
    content = image(layers=[b"comes later"])
    assert view.put(content, OCI_MANIFEST).digest == Digest.of(content)
    view.put(index([descriptor(b"comes later too", OCI_MANIFEST)]), OCI_INDEX)
    with pytest.raises(ManifestInvalid):
        view.put(image(manifests=[]), OCI_MANIFEST)
    with pytest.raises(SeveralErrors):
        put(repository, image(layers=[b"comes later", b""]))


def test_a_conditional_get_by_etag(repository: LocalRepository) -> None:
    """A tag that still names what the caller has is not got again."""
    put(repository, IMAGE, "v1", "v2")
    view = repository.manifests(AddEtagToTag("v1", DIGEST))
    with pytest.raises(ManifestNotModified):
        view.get_tagged("v1")
    assert view.get_tagged("v2").content == IMAGE
    assert view.get(DIGEST).content == IMAGE
    assert repository.manifests().get_tagged("v1").content == IMAGE
    put(repository, index(), "v1")
    assert view.get_tagged("v1").content == index()
    both = repository.manifests(SkipLayerVerification(), AddEtagToTag("v2", DIGEST))
    both.put(image(layers=[b"comes later"]), OCI_MANIFEST)
    with pytest.raises(ManifestNotModified):
        both.get_tagged("v2")


# Tags


def test_a_tag_names_its_manifest(
    repository: LocalRepository, other: LocalRepository
) -> None:
    """And is moved to the one that was pushed last."""
    for content in (IMAGE, index(), IMAGE):
        put(repository, content, "latest")
        assert other.manifests().get_tagged("latest").content == content
        assert other.tags.get("latest") == Digest.of(content)
    with pytest.raises(ManifestUnknown):
        other.manifests().get_tagged("newest")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_tag_of_a_manifest_pushed_by_another_digest(
    repository: LocalRepository, other: LocalRepository, algorithm: str
) -> None:
    """It is got by the tag under the digest that it was pushed by."""
    digest = Digest.of(IMAGE, algorithm)
    put(repository, IMAGE, "v1", digest=digest)
    assert other.manifests().get_tagged("v1").digest == digest


def test_a_tag_whose_manifest_is_gone(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """It is unknown, as the manifest is."""
    put(repository, IMAGE, "v1")
    driver.delete(paths.revision(NAME, DIGEST))
    with pytest.raises(ManifestUnknown):
        repository.manifests().get_tagged("v1")


def test_a_frozen_tag_is_made_and_not_moved(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """The same manifest may be pushed to it again; another stores nothing."""
    view = repository.manifests()
    for _ in range(2):
        view.put(IMAGE, OCI_MANIFEST, None, ["v1"], ["v1"])
    before = tree(driver.inner)
    with pytest.raises(Denied, match="v1"):
        view.put(index(), OCI_INDEX, None, ["v0", "v1"], ["v1"])
    assert tree(driver.inner) == before
    assert repository.tags.get("v1") == DIGEST
    view.put(index(), OCI_INDEX, None, ["v1"])
    assert repository.tags.get("v1") == Digest.of(index())


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_frozen_tag_can_be_made_again(
    repository: LocalRepository, driver: WatchedDriver, content: bytes
) -> None:
    """It names nothing, so that nothing is moved."""
    driver.put_content(paths.link(paths.tag_current(NAME, "v1")), content)
    repository.manifests().put(IMAGE, OCI_MANIFEST, None, ["v1"], ["v1"])
    assert repository.tags.get("v1") == DIGEST


def test_of_many_who_make_a_frozen_tag_one_does(make_registry: MakeRegistry) -> None:
    """The others are refused, and the tag names the winner's manifest."""
    contents = [index(annotations={"number": str(number)}) for number in range(8)]
    registries = [make_registry() for _ in contents]

    def push(number: int) -> Digest | None:
        view = registries[number].repository(NAME).manifests()
        try:
            made = view.put(contents[number], OCI_INDEX, None, ["v1"], ["v1"])
        except Denied:
            return None
        return made.digest

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [each for each in pool.map(push, range(8)) if each]
    assert registries[0].repository(NAME).tags.get("v1") == winner


# Delete


@pytest.mark.parametrize("pushed", ALGORITHMS)
@pytest.mark.parametrize("deleted", ["pushed", "canonical"])
def test_a_delete_takes_all_names_away(
    make_registry: MakeRegistry, repository: LocalRepository, pushed: str, deleted: str
) -> None:
    """Digests and tags, in any process; other tags and manifests stay."""
    digest = Digest.of(IMAGE, pushed)
    put(repository, IMAGE, "v1", "latest", digest=digest)
    put(repository, index(), "other", "latest")
    put(repository, IMAGE, "v2")
    wanted = digest if deleted == "pushed" else DIGEST
    view = make_registry().repository(NAME)
    assert view.manifests().get(wanted).content == IMAGE
    gone = repository.manifests().delete(wanted)
    assert set(gone) == {"v1", "v2"}
    for each in (view, repository):
        for known in {digest, DIGEST}:
            assert not each.manifests().exists(known)
            with pytest.raises(ManifestUnknown):
                each.manifests().get(known)
        assert list(each.tags.list()) == ["latest", "other"]
        assert each.manifests().get_tagged("latest").content == index()
    with pytest.raises(ManifestUnknown):
        repository.manifests().delete(wanted)


def test_deletes_may_be_switched_off(
    make_registry: MakeRegistry, repository: LocalRepository
) -> None:
    """Known or not, and nothing is read before."""
    put(repository, IMAGE, "v1")
    view = make_registry(delete_enabled=False).repository(NAME)
    for digest in (DIGEST, Digest.of(b"other")):
        with pytest.raises(Unsupported):
            view.manifests().delete(digest)
    for tag in ("v1", "v2"):
        with pytest.raises(Unsupported):
            view.tags.untag(tag)
    assert repository.manifests().get_tagged("v1").content == IMAGE


def test_after_a_delete_it_can_be_pushed_again(repository: LocalRepository) -> None:
    """With its tags, as if nothing had been."""
    put(repository, IMAGE, "v1")
    repository.manifests().delete(DIGEST)
    put(repository, IMAGE, "v1")
    assert repository.manifests().get_tagged("v1").content == IMAGE


def test_the_catalog_of_manifests_keeps_other_repositories(
    registry: LocalRegistry, repository: LocalRepository
) -> None:
    """A delete in one repository is none in another that has the same manifest."""
    put(repository)
    elsewhere = registry.repository("team/other")
    elsewhere.blobs.put(CONFIG, "application/octet-stream")
    put(elsewhere, IMAGE, "v1")
    repository.manifests().delete(DIGEST)
    assert elsewhere.manifests().get_tagged("v1").content == IMAGE


def test_a_manifest_knows_its_parts(repository: LocalRepository) -> None:
    """What it lists, what it is about, and what a list of referrers says of it."""
    subject = descriptor(b"subject", OCI_MANIFEST)
    manifest = put(repository, image(subject=subject, annotations={"a": "b"}))
    assert [each.digest for each in manifest.blobs] == [Digest.of(CONFIG)]
    assert manifest.subject == Descriptor(OCI_MANIFEST, Digest.of(b"subject"), 7)
    assert manifest.descriptor.annotations == {"a": "b"}
    assert manifest.descriptor.artifact_type == manifest.blobs[0].media_type
