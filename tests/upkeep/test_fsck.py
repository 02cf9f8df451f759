"""Each kind of damage is planted, found once, and healed where that can be done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from builders import Client
from builders import MakeApp
from builders import blob_url
from builders import image
from builders import manifest_url
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import start

from flaskreg.app import RegistryApp
from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.plugins import collect
from flaskreg.plugins import make_plugin_manager
from flaskreg.storage import ourpaths
from flaskreg.storage import paths
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.revisions import ManifestReader
from flaskreg.upkeep.elsewhere import Elsewhere
from flaskreg.upkeep.findings import DAMAGE
from flaskreg.upkeep.findings import GARBAGE
from flaskreg.upkeep.findings import Finding
from flaskreg.upkeep.fsck import Check
from flaskreg.upkeep.fsck import Result
from flaskreg.upkeep.repairs import Repairs
from flaskreg.upkeep.storecheck import Pace
from flaskreg.upkeep.storecheck import StoreCheck
from flaskreg.upkeep.sweeprun import SweepRun


LAYER = b"a layer of the image"
NAME = "team/app"


def check(
    driver: StorageDriver, *, deep: bool = False, repair: bool = False, offers: Any = ()
) -> Result:
    """Check a storage as the command does."""
    types = collect(
        make_plugin_manager(discover=False), "flaskreg_register_manifest_types"
    )
    reader = ManifestReader(BlobContents(driver), types)
    pace = Pace(0)
    made = Check(driver, reader, StoreCheck(driver, pace, deep=deep), settle=0)
    if not repair:
        return made.run()
    run = SweepRun(driver, "repair")
    run.begin()
    try:
        elsewhere = Elsewhere(driver, list(offers), pace)
        return made.run(Repairs(driver, run, elsewhere, reader))
    finally:
        run.end()


def kinds(findings: list[Finding]) -> list[str]:
    """Return the kinds of some findings."""
    return sorted(finding.kind for finding in findings)


class Tree:
    """A storage with an image, its referrer, and a blob by sha512."""

    def __init__(self, app: RegistryApp) -> None:
        self.client = Client(app)
        self.driver = app.driver
        push_image(self.client, "other", "v1", layers=[b"of another one"])
        self.image = push_image(self.client, NAME, "v1", layers=[LAYER])
        subject = {"mediaType": OCI_MANIFEST, "digest": self.image, "size": 1}
        content = image(subject=subject)
        push_manifest(self.client, NAME, content)
        self.referrer = Digest.of(content)
        self.layer = Digest.of(LAYER)
        self.other = push_blob(self.client, NAME, b"loose", "sha512")
        self.loose = Digest.of(b"loose")

    def put(self, path: str, content: bytes) -> None:
        """Write a file, whatever was there."""
        self.driver.put_content(path, content)

    def link(self, digest: Digest) -> str:
        """Return the link of a blob."""
        return paths.link(paths.layer(NAME, digest))

    def revision(self, digest: Digest) -> str:
        """Return the link of a manifest."""
        return paths.link(paths.revision(NAME, digest))

    def serves(self) -> bool:
        """Whether the image comes with all that belongs to it."""
        manifest = self.client.get(manifest_url(NAME, "v1"))
        layer = self.client.get(blob_url(NAME, self.layer))
        about = self.client.get(f"/v2/{NAME}/referrers/{self.image}").get_json()
        listed = [each["digest"] for each in about["manifests"]]
        found = Digest.of(manifest.data) == self.image and layer.data == LAYER
        return found and listed == [self.referrer]


@pytest.fixture
def tree(app: RegistryApp) -> Tree:
    """Return a storage without damage."""
    return Tree(app)


def entry_of(tree: Tree) -> str:
    """Return the path of the entry in the list of referrers."""
    return paths.referrer(NAME, tree.image, tree.referrer)


def misplace(tree: Tree, place: str) -> None:
    """Move the layer to where nobody looks for it."""
    tree.driver.move(paths.blob_data(tree.layer), f"{paths.BLOBS}/{place}/data")


def upload_of(tree: Tree, content: bytes) -> None:
    """Leave content in an upload session."""
    session = start(tree.client, "other").partition("?")[0].rpartition("/")[2]
    tree.put(paths.upload_started("other", session), b"2026-01-02T03:04:05Z")
    tree.put(paths.upload_data("other", session), content)


#: damage by its name: how it is planted, what is found, and whether it can be healed.
PLANTED: dict[str, tuple[Callable[[Tree], Any], list[str], bool]] = {
    "content is gone": (
        lambda t: t.driver.delete(paths.blob(t.layer)), ["missing-blob"], False
    ),
    "content is empty": (
        lambda t: t.put(paths.blob_data(t.layer), b""), ["wrong-content"], False
    ),
    "content is cut short": (
        lambda t: t.put(paths.blob_data(t.layer), LAYER[:-1]), ["wrong-content"], False
    ),
    "content that no manifest needs is empty": (
        lambda t: t.put(paths.blob_data(t.loose), b""), ["wrong-content"], False
    ),
    "a manifest is not what it was": (
        lambda t: t.put(paths.blob_data(t.image), b"{}"), ["wrong-content"], False
    ),
    "a tagged manifest is gone": (
        lambda t: t.driver.delete(paths.blob(t.image)), ["missing-manifest"], False
    ),
    "an untagged manifest is gone": (
        lambda t: t.driver.delete(paths.blob(t.referrer)), ["missing-manifest"], True
    ),
    "a blob's link is empty": (
        lambda t: t.put(t.link(t.layer), b""), ["damaged-link"], True
    ),
    "a blob's link holds another digest": (
        lambda t: t.put(t.link(t.layer), t.loose.encode()), ["damaged-link"], True
    ),
    "a sha512 link is empty": (
        lambda t: t.put(t.link(t.other), b""), ["damaged-link"], True
    ),
    "a manifest's link is no digest": (
        lambda t: t.put(t.revision(t.image), b"\xff"), ["damaged-link"], True
    ),
    "a blob's link is gone": (
        lambda t: t.driver.delete(paths.layer(NAME, t.layer)), ["unlinked-blob"], True
    ),
    "a link leads to nothing": (
        lambda t: t.driver.delete(paths.blob(t.loose)), ["link-to-nothing"], True
    ),
    "a tag is empty": (
        lambda t: t.put(paths.link(paths.tag_current(NAME, "v1")), b""),
        ["damaged-tag"],
        True,
    ),
    "a tag names a manifest that is not there": (
        lambda t: t.put(
            paths.link(paths.tag_current(NAME, "v2")), Digest.of(b"never").encode()
        ),
        ["dangling-tag"],
        True,
    ),
    "a referrer that is not there is listed": (
        lambda t: t.put(paths.referrer(NAME, t.image, Digest.of(b"never")), b"{}"),
        ["dangling-referrer"],
        True,
    ),
    "a referrer cannot be read": (
        lambda t: t.put(entry_of(t), b"{"), ["damaged-referrer"], True
    ),
    "a referrer is not listed": (
        lambda t: t.driver.delete(entry_of(t)), ["missing-referrer"], True
    ),
    "content stands under another prefix": (
        lambda t: misplace(t, f"sha256/zz/{t.layer.encoded}"),
        ["misplaced", "missing-blob"],
        True,
    ),
    "content stands under another algorithm": (
        lambda t: misplace(t, "sha512/" + Digest.of(LAYER, "sha512").encoded[:2] + "/"
                           + Digest.of(LAYER, "sha512").encoded),
        ["misplaced", "missing-blob"],
        True,
    ),
    "content is in an upload": (
        lambda t: (t.driver.delete(paths.blob(t.layer)), upload_of(t, LAYER)),
        ["missing-blob"],
        True,
    ),
    "an upload has no beginning": (
        lambda t: t.put(paths.upload_data(NAME, "0" * 8), b"half"),
        ["broken-upload"],
        True,
    ),
    "a file that is not of the layout": (
        lambda t: t.put(f"{paths.repository(NAME)}/_trash/x", b""), ["foreign"], False
    ),
    "a directory that is no digest": (
        lambda t: t.put(f"{paths.BLOBS}/sha256/ab/abc/data", b"x"), ["foreign"], False
    ),
    "a tag that is none": (
        lambda t: t.put(f"{paths.tags(NAME)}/.bad/current/link", b"x"),
        ["foreign"],
        False,
    ),
    "something beside the content": (
        lambda t: t.put(f"{paths.blob(t.layer)}/other", b"x"), ["foreign"], False
    ),
    "something beside the repositories": (
        lambda t: t.put(f"{paths.ROOT}/other/file", b"x"), ["foreign"], False
    ),
}  # fmt: skip


def test_nothing_is_wrong(tree: Tree) -> None:
    """Nothing is found in what a client pushed, and a repair changes nothing."""
    assert tree.serves()
    for repair in (False, True):
        result = check(tree.driver, deep=True, repair=repair)
        assert (result.left, result.healed, result.repositories) == ([], [], 2)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", PLANTED)
def test_damage_is_found_once(tree: Tree, name: str, deep: bool) -> None:
    """With its kind, and nothing beside it; looking changes nothing."""
    plant, expected, _ = PLANTED[name]
    plant(tree)
    for _ in range(2):
        result = check(tree.driver, deep=deep)
        assert kinds(result.left) == expected
        assert result.damaged is bool(set(expected) & DAMAGE.keys())


@pytest.mark.parametrize("name", PLANTED)
def test_damage_is_healed_where_it_can_be(tree: Tree, name: str) -> None:
    """Nothing is left of it then, the image serves, and a push heals the rest."""
    plant, expected, healable = PLANTED[name]
    plant(tree)
    result = check(tree.driver, deep=True, repair=True)
    if healable:
        # A repair may bring to light what it then puts right as well.
        assert set(expected) <= set(kinds(result.healed))
        assert result.left == []
        assert check(tree.driver, deep=True).left == []
        if "referrer" not in name and "untagged" not in name:
            assert tree.serves()
    else:
        assert kinds(result.left) == expected
        if result.damaged:
            push_again(tree)
            assert not check(tree.driver, deep=True).damaged
            assert tree.serves()


def push_again(tree: Tree) -> None:
    """Push what a client pushes that asks first what is there."""
    for content in (LAYER, b"loose"):
        digest = Digest.of(content)
        if tree.client.head(blob_url(NAME, digest)).status_code == 404:
            push_blob(tree.client, NAME, content)
    push_manifest(tree.client, NAME, image(layers=[LAYER]), "v1")


@pytest.mark.parametrize("name", [each for each in PLANTED if "content is" in each])
def test_healed_from_elsewhere(tree: Tree, name: str) -> None:
    """Content that another place has is brought back, when it is right."""
    plant, _, _ = PLANTED[name]
    plant(tree)
    contents = {tree.layer: LAYER, tree.loose: b"loose"}
    asked: list[str] = []

    def wrong(_repository: str, _digest: Digest) -> BytesIO:
        return BytesIO(b"something else")

    def right(repository: str, digest: Digest) -> BytesIO:
        asked.append(repository)
        return BytesIO(contents[digest])

    result = check(tree.driver, deep=True, repair=True, offers=(wrong, right))
    assert result.left == []
    assert len(result.healed) == 1
    assert tree.serves()
    assert check(tree.driver, deep=True).left == []
    assert not any("restored" in i.path for i in tree.driver.walk("/") if not i.is_dir)


def test_only_reading_finds_what_has_the_right_size(tree: Tree) -> None:
    """A bit that fell over is found by --deep, and taken away by a repair."""
    tree.put(paths.blob_data(tree.layer), LAYER[::-1])
    assert check(tree.driver).left == []
    assert kinds(check(tree.driver, deep=True).left) == ["wrong-content"]
    check(tree.driver, deep=True, repair=True)
    assert tree.client.get(blob_url(NAME, tree.layer)).status_code == 404
    assert tree.client.head(blob_url(NAME, tree.layer)).status_code == 404
    kept = tree.driver.get_content(ourpaths.quarantined(tree.layer))
    assert kept == LAYER[::-1]


def test_leftovers(tmp_path: Path) -> None:
    """Half a file is garbage when nobody has written to it for long."""
    driver = FilesystemDriver(str(tmp_path))
    driver.put_content(f"{paths.ROOT}/repositories/r/_layers/x", b"")
    driver.delete(f"{paths.ROOT}/repositories/r/_layers/x")
    old, new = (tmp_path / f".{character * 32}.tmp" for character in "0f")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, time.time() - 7200))
    result = check(driver)
    assert [(each.kind, each.path) for each in result.left] == [
        ("leftover", f"/{old.name}")
    ]
    assert not result.damaged
    assert kinds(check(driver, repair=True).healed) == ["leftover"]
    assert not old.exists()
    assert new.exists()


def test_every_kind_is_planted() -> None:
    """A new kind needs a test."""
    planted = {kind for _, expected, _ in PLANTED.values() for kind in expected}
    assert planted | {"leftover"} == DAMAGE.keys() | GARBAGE.keys()


def test_all_damage_at_once(make_app: MakeApp) -> None:
    """One does not hide another: each is found in a repository of its own tree."""
    for name, (plant, expected, _) in PLANTED.items():
        tree = Tree(make_app())
        plant(tree)
        never = Digest.of(b"never")
        tree.put(paths.link(paths.tag_current("other", "v3")), never.encode())
        found = kinds(check(tree.driver).left)
        assert found == sorted([*expected, "dangling-tag"]), name


def test_pushes_meanwhile_are_no_damage(tree: Tree) -> None:
    """What is half pushed when it is looked at is looked at again."""

    class Pushing:
        calls = 0

    types = collect(
        make_plugin_manager(discover=False), "flaskreg_register_manifest_types"
    )
    reader = ManifestReader(BlobContents(tree.driver), types)
    store = StoreCheck(tree.driver, Pace(0), deep=False)
    made = Check(tree.driver, reader, store, settle=0)
    inner = made._check.check
    broken = paths.layer(NAME, tree.layer)

    def look(name: str) -> Any:
        Pushing.calls += 1
        if name == NAME and Pushing.calls <= 2:
            tree.driver.delete(broken)
            found = list(inner(name))
            tree.put(paths.link(broken), tree.layer.encode())
            return found
        return inner(name)

    made._check.check = look  # type: ignore[method-assign]
    assert made.run().left == []
    assert Pushing.calls == 3


def test_reading_is_throttled() -> None:
    """No more is read in a second than the rate says."""
    slept: list[float] = []
    pace = Pace(1000.0, slept.append)
    for _ in range(10):
        pace.take(500)
    assert 4 < max(slept) <= 5
    Pace(0, slept.append).take(1 << 30)
    assert len(slept) == 10
