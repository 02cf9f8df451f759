"""Pushes and a collection at the same moment, in every order of their steps."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from builders import Client
from builders import GivenDriver
from builders import MakeApp
from builders import WatchedDriver
from builders import blob_url
from builders import image
from builders import index
from builders import manifest_url
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import start
from builders import with_digest

from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import StorageDriver
from flaskreg.errors import Unavailable
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.storage.sweepguard import SweepGuard
from flaskreg.upkeep.collection import Collection
from flaskreg.upkeep.collection import Options
from flaskreg.upkeep.sweeprun import SweepRun


LAYER = b"an old layer"


class Turns:
    """Lets threads take steps one at a time, in an order that a seed chooses."""

    def __init__(self, seed: object, members: int) -> None:
        self._choose = random.Random(str(seed))
        self._changed = threading.Condition()
        self._waiting: set[int] = set()
        self._members = members
        self._next: int | None = None

    def step(self, member: int) -> None:
        """Wait until it is this thread's turn."""
        with self._changed:
            self._waiting.add(member)
            self._pick()
            while self._next != member:
                assert self._changed.wait(60), "nobody goes on"
            self._next = None
            self._waiting.discard(member)

    def leave(self) -> None:
        """Take no more turns."""
        with self._changed:
            self._members -= 1
            self._pick()

    def _pick(self) -> None:
        if self._next is None and len(self._waiting) == self._members > 0:
            self._next = self._choose.choice(sorted(self._waiting))
            self._changed.notify_all()


class Stepping(WatchedDriver):
    """A driver each call of which is one step of one of the threads.

    :param inner: what all of them use.
    :param step: waits for the turn.
    """

    def __init__(self, inner: StorageDriver, step: Callable[[], None]) -> None:
        super().__init__(inner)
        self._step = step

    def get_content(self, path: str) -> bytes:
        """Take a step."""
        self._step()
        return super().get_content(path)

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Take a step."""
        self._step()
        super().put_content(path, content, durable=durable)

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Take a step."""
        self._step()
        return super().writer(path, append_at)

    def stat(self, path: str) -> FileInfo:
        """Take a step."""
        self._step()
        return super().stat(path)

    def list(self, path: str) -> list[str]:
        """Take a step."""
        self._step()
        return super().list(path)

    def move(self, source: str, destination: str) -> None:
        """Take a step."""
        self._step()
        super().move(source, destination)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Take a step."""
        self._step()
        super().delete(path, durable=durable)


def push_after_head(client: Client) -> Digest | None:
    """Push an image, and leave out the layer that is there already."""
    layer = Digest.of(LAYER)
    if client.head(blob_url("r", layer)).status_code != 200:
        return None
    return _push_manifest(client, image(layers=[LAYER]))


def push_after_mount(client: Client) -> Digest | None:
    """Push an image whose layer is mounted from another repository."""
    layer = Digest.of(LAYER)
    answer = client.post(f"/v2/r/blobs/uploads/?mount={layer}&from=other")
    if answer.status_code != 201:
        return None
    return _push_manifest(client, image(layers=[LAYER]))


def push_again(client: Client) -> Digest | None:
    """Push an image with its layer, which is there already."""
    location = start(client, "r")
    answer = client.put(with_digest(location, Digest.of(LAYER)), data=LAYER)
    assert answer.status_code in (201, 503)
    return _push_manifest(client, image(layers=[LAYER]))


def push_index(client: Client) -> Digest | None:
    """Push an index over an image that nothing led to."""
    child = Digest.of(image(layers=[LAYER]))
    if client.head(manifest_url("r", child)).status_code != 200:
        return None
    listed = {"mediaType": OCI_MANIFEST, "digest": child, "size": 3}
    return _push_manifest(client, index([listed]))


def tag_again(client: Client) -> Digest | None:
    """Push a manifest that is there, under a tag."""
    return _push_manifest(client, image(layers=[LAYER]))


def _push_manifest(client: Client, content: bytes) -> Digest | None:
    answer = push_manifest(client, "r", content, "pushed")
    assert answer.status_code in (201, 400, 503), answer.text
    return Digest.of(content) if answer.status_code == 201 else None


PUSHES = {
    push_after_head: False,
    push_after_mount: False,
    push_again: False,
    push_index: True,
    tag_again: True,
}


def prepare(client: Client, *, with_image: bool) -> None:
    """Make an old layer that nothing needs, and perhaps an old image of it."""
    push_blob(client, "other", LAYER)
    push_blob(client, "r", b"{}")
    push_image(client, "r", "config", layers=[])
    if with_image:
        push_image(client, "r", layers=[LAYER])
    else:
        push_blob(client, "r", LAYER)


def check(app: RegistryApp, client: Client, pushed: Digest) -> None:
    """See that an acknowledged manifest serves with all that it needs."""
    todo = [pushed]
    while todo:
        answer = client.get(manifest_url("r", todo.pop()))
        assert answer.status_code == 200, answer.text
        document = answer.get_json(force=True)
        todo += [each["digest"] for each in document.get("manifests", ())]
        for each in document.get("layers", ()):
            served = client.get(blob_url("r", each["digest"]))
            assert served.data == LAYER
    named = client.get(manifest_url("r", "pushed")).headers["Docker-Content-Digest"]
    assert named == pushed
    assert app.driver.list("/")


def impatient(app: RegistryApp) -> RegistryApp:
    """Let pushes of an application wait a moment only, and announce every time."""
    registry: Any = app.site.registry
    registry._parts.guard._patience = 0.05
    return app


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("push", PUSHES)
def test_any_order_of_steps(make_app: MakeApp, push: Any, seed: int) -> None:
    """A push that is acknowledged has all that it needs, however the steps fall."""
    for round_number in range(2):
        app = make_app()
        prepare(Client(app), with_image=PUSHES[push])
        turns = Turns((seed, round_number), 2)
        driver = Stepping(app.driver, lambda t=turns: t.step(0))
        pusher = impatient(make_app((GivenDriver(driver),)))
        swept = Stepping(app.driver, lambda t=turns: t.step(1))
        done: list[Digest | None] = []
        threads = [
            threading.Thread(target=_run, args=(turns, done, push, Client(pusher))),
            threading.Thread(target=_run, args=(turns, [], _collect, swept)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
            assert not thread.is_alive()
        assert done, "the push failed in a way of its own"
        if done[0] is not None:
            check(app, Client(app), done[0])
            check(app, Client(pusher_without_steps(make_app, app)), done[0])


def pusher_without_steps(make_app: MakeApp, app: RegistryApp) -> RegistryApp:
    """Return another application on the same storage, with empty caches."""
    return make_app((GivenDriver(app.driver),))


def _run(
    turns: Turns, done: list[Any], action: Callable[[Any], Any], given: Any
) -> None:
    try:
        done.append(action(given))
    finally:
        turns.leave()


def _collect(driver: StorageDriver) -> None:
    run = SweepRun(driver, "run")
    Collection(driver, run, Options(grace=0, untagged=True)).collect()


class Interrupted(WatchedDriver):
    """A driver that has something else happen before its n-th call."""

    left = 0
    happen: Callable[[], None]

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.happen()

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Count, and hand on."""
        self._count()
        super().put_content(path, content, durable=durable)

    def stat(self, path: str) -> FileInfo:
        """Count, and hand on."""
        self._count()
        return super().stat(path)

    def list(self, path: str) -> list[str]:
        """Count, and hand on."""
        self._count()
        return super().list(path)

    def move(self, source: str, destination: str) -> None:
        """Count, and hand on."""
        self._count()
        super().move(source, destination)

    def get_content(self, path: str) -> bytes:
        """Count, and hand on."""
        self._count()
        return super().get_content(path)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Count, and hand on."""
        self._count()
        super().delete(path, durable=durable)


@pytest.mark.parametrize("push", PUSHES)
def test_a_whole_collection_in_the_middle_of_a_push(
    make_app: MakeApp, push: Any
) -> None:
    """Before each step of the push in turn."""
    steps = 0
    while True:
        steps += 1
        app = make_app()
        prepare(Client(app), with_image=PUSHES[push])
        driver = Interrupted(app.driver)
        driver.happen = lambda inner=app.driver: _collect(inner)
        pusher = impatient(make_app((GivenDriver(driver),)))
        driver.left = steps
        pushed = push(Client(pusher))
        if pushed is not None:
            check(app, Client(app), pushed)
        if driver.left > 0:
            break
    assert steps > 5
    assert pushed is not None, "nothing stood in its way"


@pytest.mark.parametrize("push", PUSHES)
def test_a_whole_push_in_the_middle_of_a_collection(
    make_app: MakeApp, push: Any
) -> None:
    """Before each step of the collection in turn."""
    steps = 0
    acknowledged = refused = 0
    while True:
        steps += 1
        app = make_app()
        prepare(Client(app), with_image=PUSHES[push])
        pusher = Client(impatient(make_app((GivenDriver(app.driver),))))
        done: list[Digest | None] = []
        driver = Interrupted(app.driver)
        driver.happen = lambda d=done, p=pusher: d.append(push(p))
        driver.left = steps
        _collect(driver)
        if not done:
            break
        if done[0] is None:
            refused += 1
        else:
            acknowledged += 1
            check(app, Client(app), done[0])
    assert acknowledged > 5, "the push stood in the way of nothing"
    assert push is push_again or refused


def test_a_digest_that_is_being_swept_is_waited_for(make_app: MakeApp) -> None:
    """And given up after a while, with an error that says when to come back."""
    app = make_app()
    run = SweepRun(app.driver, "run")
    run.begin()
    digest = Digest.of(LAYER)
    guard = SweepGuard(app.driver, patience=0.1)
    with run.claim(digest) as free:
        assert free
        with pytest.raises(Unavailable) as raised:
            guard.spare(guard.runs(), [digest])
        assert raised.value.headers["Retry-After"]
    guard.spare(guard.runs(), [digest])
    with run.claim(digest) as free:
        assert not free
    run.end()
    assert not guard.runs()


def test_a_full_storage_stops_no_head(make_app: MakeApp) -> None:
    """Announcing is for the collection alone."""
    app = make_app()
    digest = push_blob(Client(app), "r", LAYER)

    class Broken(WatchedDriver):
        def touch(self, path: str) -> None:
            raise DriverError(path, "read-only")

    other = make_app((GivenDriver(Broken(app.driver)),))
    assert Client(other).head(blob_url("r", digest)).status_code == 200
