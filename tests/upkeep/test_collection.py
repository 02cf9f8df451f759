"""Garbage collection keeps what is needed, and nothing else."""

from __future__ import annotations

import logging
import random
from datetime import timedelta

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp
from builders import WatchedDriver
from builders import blob_url
from builders import encode
from builders import image
from builders import index
from builders import manifest_url
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import start

from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.driver import FileInfo
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.storage import paths
from flaskreg.upkeep.collection import Collection
from flaskreg.upkeep.collection import Options
from flaskreg.upkeep.sweeprun import SweepBusy
from flaskreg.upkeep.sweeprun import SweepLost
from flaskreg.upkeep.sweeprun import SweepRun

from .worlds import World
from .worlds import collect
from .worlds import files
from .worlds import stored


@pytest.mark.parametrize("untagged", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_random_registries(
    app: RegistryApp, other_client: Client, seed: int, untagged: bool
) -> None:
    """What can be reached serves after it, the rest is gone, and it is done once."""
    world = World(Client(app), random.Random(seed))
    world.fill(25)
    before = set(stored(app))
    totals = collect(app, untagged=untagged)
    needed = world.check(untagged=untagged)
    assert set(stored(app)) == needed
    assert totals.blobs == len(before - needed)
    assert not totals.damaged
    world.client = other_client
    world.check(untagged=untagged)
    again = collect(app, "again", untagged=untagged)
    assert (again.blobs, again.manifests, again.links) == (0, 0, 0)
    assert not [path for path in files(app) if path.startswith("/flaskreg/sweep")]


def test_a_dry_run_writes_nothing(app: RegistryApp) -> None:
    """It says the same figures, and the tree is as it was."""
    World(Client(app), random.Random("dry")).fill(30)
    driver = WatchedDriver(app.driver)
    before = files(app)
    run = SweepRun(driver, "dry")
    would = Collection(
        driver, run, Options(grace=0, untagged=True, dry_run=True)
    ).collect()
    assert files(app) == before
    assert {name for name, _ in driver.calls} <= {"list", "stat", "reader"} | {
        "get_content"
    }
    did = collect(app, untagged=True)
    assert (did.blobs, did.size, did.manifests) == (
        would.blobs,
        would.size,
        would.manifests,
    )
    assert did.links == would.links > 0


def referring(to: Digest, note: str = "") -> bytes:
    """Return a manifest about another one."""
    subject = {"mediaType": OCI_MANIFEST, "digest": to, "size": 3}
    return image(subject=subject, annotations={"note": note})


def put(client: Client, content: bytes, reference: str | None = None) -> Digest:
    """Push a manifest to the repository of the tests, and return its digest."""
    answer = push_manifest(client, "r", content, reference)
    assert answer.status_code == 201, answer.text
    return Digest.of(content)


def there(client: Client, *digests: Digest) -> list[bool]:
    """Return which manifests are served."""
    urls = [manifest_url("r", digest) for digest in digests]
    return [client.get(url).status_code == 200 for url in urls]


def listing(*digests: Digest, note: str = "") -> bytes:
    """Return an index of images."""
    return index(
        [{"mediaType": OCI_MANIFEST, "digest": d, "size": 3} for d in digests],
        annotations={"note": note},
    )


def test_indexes_at_any_depth(app: RegistryApp, client: Client) -> None:
    """What a tagged index leads to stays; what only an untagged one does goes."""
    kept, lost, both = (
        push_image(client, "r", layers=[name]) for name in (b"1", b"2", b"3")
    )
    inner = put(client, listing(kept, both))
    middle = put(client, listing(inner))
    outer = put(client, listing(middle), "top")
    untagged = put(client, listing(lost, both))
    collect(app, untagged=True)
    assert all(there(client, kept, both, inner, middle, outer))
    assert not any(there(client, lost, untagged))
    assert client.get(blob_url("r", Digest.of(b"1"))).status_code == 200
    assert client.get(blob_url("r", Digest.of(b"2"))).status_code == 404


def test_referrers_live_and_die_with_their_subject(
    app: RegistryApp, client: Client
) -> None:
    """To any depth, whether the subject is an image or a child of an index."""
    child = push_image(client, "r", layers=[b"child"])
    put(client, listing(child), "index")
    dead = push_image(client, "r", layers=[b"dead"])
    kept = put(client, referring(child))
    deeper = put(client, referring(kept))
    gone = put(client, referring(dead))
    gone_too = put(client, referring(gone))
    lonely = put(client, referring(Digest.of(b"never pushed")))
    collect(app, untagged=True)
    assert all(there(client, child, kept, deeper))
    assert not any(there(client, dead, gone, gone_too, lonely))
    for subject, expected in ((child, [kept]), (kept, [deeper]), (dead, [])):
        answer = client.get(f"/v2/r/referrers/{subject}").get_json()
        assert [each["digest"] for each in answer["manifests"]] == expected
    left = [path for path in files(app) if "/_referrers/" in path]
    assert len(left) == 2


@pytest.mark.parametrize("ending", ["", ".sig", ".att"])
def test_signatures_of_older_clients(
    app: RegistryApp, client: Client, ending: str
) -> None:
    """A tag about a manifest is no reason of its own to stay, but what is elsewhere."""
    alive = push_image(client, "r", "v1", layers=[b"alive"])
    dead = push_image(client, "r", layers=[b"dead"])
    elsewhere = Digest.of(b"in another repository")
    tags = {d: d.replace(":", "-") + ending for d in (alive, dead, elsewhere)}
    for digest, tag in tags.items():
        push_image(client, "r", tag, layers=[digest.encode()])
    collect(app, untagged=True)
    found = client.get("/v2/r/tags/list").get_json()["tags"]
    assert found == sorted(["v1", tags[alive], tags[elsewhere]])
    for tag in found:
        assert client.get(manifest_url("r", tag)).status_code == 200


def test_without_the_flag_untagged_manifests_stay(
    app: RegistryApp, client: Client
) -> None:
    """As with distribution."""
    image_digest = push_image(client, "r", layers=[b"x"])
    collect(app)
    assert there(client, image_digest) == [True]
    assert client.get(blob_url("r", Digest.of(b"x"))).data == b"x"


def test_links_are_of_one_repository(app: RegistryApp, client: Client) -> None:
    """A blob that another repository needs stays there alone."""
    push_image(client, "r", "t", layers=[b"layer"])
    push_blob(client, "other", b"layer")
    totals = collect(app)
    assert (totals.links, totals.blobs) == (1, 0)
    digest = Digest.of(b"layer")
    assert client.get(blob_url("r", digest)).status_code == 200
    assert client.get(blob_url("other", digest)).status_code == 404


def test_what_is_young_stays(app: RegistryApp, client: Client) -> None:
    """An upload, an untagged manifest and all that it needs, within the grace."""
    blob = push_blob(client, "r", b"young")
    lonely = push_image(client, "r", layers=[b"needed"])
    totals = collect(app, untagged=True, grace=3600.0)
    assert (totals.blobs, totals.manifests, totals.links) == (0, 0, 0)
    assert there(client, lonely) == [True]
    assert client.get(blob_url("r", blob)).data == b"young"


def test_a_driver_that_keeps_no_times(make_app: MakeApp) -> None:
    """Nothing can be judged there, unless no grace is given."""

    class Timeless(WatchedDriver):
        def stat(self, path: str) -> FileInfo:
            info = super().stat(path)
            return type(info)(info.path, info.size, info.is_dir)

    plain = make_app()
    app = make_app((GivenDriver(Timeless(plain.driver)),))
    push_blob(Client(app), "r", b"blob")
    assert collect(app, grace=1.0).blobs == 0
    assert collect(app, "again", grace=0.0).blobs == 1


class Aged(WatchedDriver):
    """A driver on which everything is older than it is, by so many seconds."""

    seconds = 0.0

    def stat(self, path: str) -> FileInfo:
        """Return what is there, older; what marks a run is dated right."""
        info = self.inner.stat(path)
        if info.modified is None or path.startswith("/flaskreg"):
            return info
        earlier = info.modified - timedelta(seconds=self.seconds)
        return type(info)(info.path, info.size, info.is_dir, earlier)


@pytest.mark.parametrize("seconds", [1800.0, 7200.0, -7200.0])
def test_the_grace_is_what_was_asked_for(make_app: MakeApp, seconds: float) -> None:
    """What is older goes; what is younger stays, and what is of the future, too."""
    app = make_app()
    push_blob(Client(app), "r", b"blob")
    driver = Aged(app.driver)
    driver.seconds = seconds
    Collection(driver, SweepRun(driver, "run"), Options()).collect()
    status = Client(app).get(blob_url("r", Digest.of(b"blob"))).status_code
    assert status == (200 if seconds < 3600 else 404)


def test_who_asks_for_a_blob_keeps_it(make_app: MakeApp) -> None:
    """HEAD and mount make an old link young; a pull does not."""
    app = make_app()
    client = Client(app)
    digests = [push_blob(client, "r", each) for each in (b"head", b"mount", b"get")]
    driver = Aged(app.driver)
    driver.seconds = 7200
    other = Client(make_app((GivenDriver(app.driver),)))
    before = {d: driver.stat(link_of("r", d)).modified for d in digests}
    assert other.head(blob_url("r", digests[0])).status_code == 200
    mounted = other.post(f"/v2/r/blobs/uploads/?mount={digests[1]}&from=r")
    assert mounted.status_code == 201
    assert other.get(blob_url("r", digests[2])).status_code == 200
    after = {d: driver.stat(link_of("r", d)).modified for d in digests}
    younger = [d for d in digests if after[d] != before[d]]
    assert younger == digests[:2]


def link_of(name: str, digest: Digest) -> str:
    """Return the path of a blob's link."""
    return paths.link(paths.layer(name, digest))


def test_upload_sessions(app: RegistryApp, client: Client) -> None:
    """A session that nobody goes on with is deleted, by the age that is given."""
    location = start(client, "r")
    location = client.patch(location, data=b"some bytes").headers["Location"]
    assert collect(app, upload_age=3600.0).uploads == 0
    assert collect(app, "dry", upload_age=0.0, dry_run=True).uploads == 1
    totals = collect(app, "again", upload_age=0.0)
    assert (totals.uploads, totals.size) == (1, 10)
    assert client.get(location).status_code == 404


DAMAGE = {
    "an empty layer link": "layer link",
    "an empty manifest link": "manifest link",
    "an empty tag": "tag",
    "no content of a manifest": "manifest",
    "an empty manifest": "manifest",
}


def damage(driver: StorageDriver, kind: str, digest: Digest) -> None:
    """Damage one image of the repository ``bad``."""
    if kind == "an empty layer link":
        driver.put_content(link_of("bad", Digest.of(b"layer")), b"")
    elif kind == "an empty manifest link":
        driver.put_content(paths.link(paths.revision("bad", digest)), b"")
    elif kind == "an empty tag":
        driver.put_content(paths.link(paths.tag_current("bad", "t")), b"")
    elif kind == "an empty manifest":
        driver.put_content(paths.blob_data(digest), b"")
    else:
        driver.delete(paths.blob(digest))


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_skipped_and_counted(
    app: RegistryApp, client: Client, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and everything else is collected, and kept."""
    push_image(client, "good", "t", layers=[b"good"])
    push_blob(client, "zzz", b"garbage")
    digest = push_image(client, "bad", "t", layers=[b"layer"])
    damage(app.driver, kind, digest)
    with caplog.at_level(logging.WARNING, "flaskreg"):
        totals = collect(app)
    assert totals.damaged == {DAMAGE[kind]: 1}
    assert "bad" in caplog.text
    assert client.get(blob_url("good", Digest.of(b"good"))).status_code == 200
    assert client.get(blob_url("zzz", Digest.of(b"garbage"))).status_code == 404
    if "link" in kind or "tag" in kind:
        # What it leads to can be put right, so it stays.
        assert Digest.of(b"layer") in set(stored(app))


def test_a_directory_without_a_link_is_nothing(
    app: RegistryApp, client: Client
) -> None:
    """distribution leaves one where it deleted a link."""
    digest = push_image(client, "r", layers=[b"layer"])
    for directory in (
        paths.revision("r", digest),
        paths.layer("r", Digest.of(b"layer")),
    ):
        app.driver.put_content(f"{directory}/something", b"")
        app.driver.delete(paths.link(directory))
    totals = collect(app)
    assert not totals.damaged
    assert set(stored(app)) == set()


def test_what_cannot_be_read_keeps_all_of_its_repository(
    app: RegistryApp, client: Client
) -> None:
    """Nobody knows what it leads to."""
    digest = push_image(client, "r", "t", layers=[b"layer"])
    push_blob(client, "r", b"perhaps")
    push_blob(client, "zzz", b"garbage")
    app.driver.put_content(paths.blob_data(digest), b"\x00 not JSON")
    totals = collect(app)
    assert totals.damaged == {"manifest": 1}
    assert set(stored(app)) == {
        digest, Digest.of(b"{}"), Digest.of(b"layer"), Digest.of(b"perhaps")
    }  # fmt: skip


def test_manifests_of_unknown_types_keep_what_they_name(
    app: RegistryApp, client: Client
) -> None:
    """Such as schema 1, and those of a plugin that is not installed."""
    layer = push_blob(client, "r", b"layer")
    other = push_blob(client, "r", b"other", "sha512")
    layers = [{"blobSum": layer}]
    content = encode(
        {"schemaVersion": 1, "fsLayers": layers, "x": [{"y": {"digest": other}}]}
    )
    digest = Digest.of(content)
    signature = b"a signature"
    app.driver.put_content(paths.blob_data(digest), content)
    revision = paths.revision("r", digest)
    app.driver.put_content(paths.link(revision), digest.encode())
    app.site.registry.repository("r").signatures.put(digest, signature)
    push_blob(client, "r", b"garbage")
    totals = collect(app)
    assert totals.blobs == 1
    assert set(stored(app)) == {
        digest, layer, Digest.of(b"other"), Digest.of(signature)
    }  # fmt: skip


def test_one_at_a_time(app: RegistryApp, client: Client) -> None:
    """A second collection says which one is under way; a dead one stops nobody."""
    push_blob(client, "r", b"garbage")
    first = SweepRun(app.driver, "first")
    first.begin()
    second = SweepRun(app.driver, "second")
    with pytest.raises(SweepBusy, match="first"):
        second.begin()
    third = SweepRun(app.driver, "third", is_gone=lambda name: name == "first")
    third.begin()
    with pytest.raises(SweepLost), first.claim(Digest.of(b"x")):
        pytest.fail("the first one must not delete any more")
    third.end()
    with pytest.raises(PathNotFound):
        app.driver.get_content("/flaskreg/sweep/active/third")


class Killed(BaseException):
    """The process ends here."""


class Killing(WatchedDriver):
    """A driver whose process is killed before a call that changes something."""

    left = 0

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Count, and hand on."""
        self._count()
        super().put_content(path, content, durable=durable)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Count, and hand on."""
        self._count()
        super().delete(path, durable=durable)


@pytest.mark.parametrize("untagged", [False, True])
def test_killed_anywhere(make_app: MakeApp, untagged: bool) -> None:
    """All that can be reached serves, and the next collection ends what one began."""
    app = make_app()
    world = World(Client(app), random.Random("killed"))
    world.fill(40)
    for number in range(40):
        push_blob(world.client, "a", bytes([number]))
    driver = Killing(app.driver)
    kills = 0
    while True:
        kills += 1
        driver.left = kills
        run = SweepRun(driver, f"run{kills}", lambda _name: True)
        try:
            Collection(driver, run, Options(grace=0, untagged=untagged)).collect()
        except Killed:
            world.check(untagged=untagged)
            continue
        break
    assert kills > 10
    assert set(stored(app)) == world.check(untagged=untagged)


def test_an_index_never_outlives_its_manifests(
    app: RegistryApp, client: Client
) -> None:
    """What lists goes before what it lists, so that no reader meets half of it."""
    children = [push_image(client, "r", layers=[bytes([n])]) for n in range(4)]
    inner = put(client, listing(*children))
    outer = put(client, listing(inner, children[0]))
    about = put(client, referring(outer))
    driver = WatchedDriver(app.driver)
    run = SweepRun(driver, "run")
    Collection(driver, run, Options(grace=0, untagged=True)).collect()
    gone = [
        path.rpartition("/")[2]
        for path in driver.asked("delete")
        if "revisions" in path
    ]
    order = [gone.index(digest.encoded) for digest in (about, outer, inner)]
    assert order == sorted(order)
    assert all(gone.index(child.encoded) > order[-1] for child in children)
