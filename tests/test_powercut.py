"""What a 201 promises, over a power cut after every single change of the disk.

A push goes through the application on a disk that is modelled (:mod:`faultfs`). For a
cut after each operation, and each way in which a disk may lose what was not synced, a
fresh application is opened on what is left. Then: what was acknowledged is there, what
was not is there whole or is not there, and the push that was cut can be done again.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest
from builders import Client
from builders import blob_url
from builders import descriptor
from builders import image
from builders import manifest_url
from builders import push_blob
from builders import push_manifest
from builders import start
from builders import uploads_url
from builders import with_digest
from faultfs import AllKept
from faultfs import Mixed
from faultfs import NamesKept
from faultfs import Operation
from faultfs import Outcome
from faultfs import SizesKept
from faultfs import Tree
from faultfs import cuts
from faultfs import materialise
from faultfs import recording

from flaskreg import app as application
from flaskreg import create_app
from flaskreg.config import Settings
from flaskreg.digest import Digest
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.plugins import make_plugin_manager


#: a kind of content, a repository, and a digest or a tag.
Key = tuple[str, str, str]
#: the content, for referrers their digests; ``None`` when there is none.
Value = bytes | frozenset[str] | None

OUTCOMES: Mapping[str, Sequence[Callable[[int], Outcome]]] = {
    "strict": [
        lambda _: Outcome(),
        lambda _: NamesKept(),
        lambda _: SizesKept(),
        lambda _: AllKept(),
        lambda seed: Mixed(3 * seed),
        lambda seed: Mixed(3 * seed + 1),
        lambda seed: Mixed(3 * seed + 2),
    ],
    "journal": [lambda _: Outcome(), lambda _: NamesKept(), lambda _: SizesKept()],
}

_BYTES = random.Random("powercut")
CONFIG = b"{}"
LAYER = _BYTES.randbytes(3000)
IMAGE = image(CONFIG, [LAYER])
NEXT = image(CONFIG, [LAYER], annotations={"note": "next"})
SUBJECT = Digest.of(IMAGE)
REFERRER = image(CONFIG, [LAYER], subject=descriptor(IMAGE, OCI_MANIFEST))
REPO = "a/b"


# What a client does


@dataclass
class Session:
    """An upload session as its client knows it."""

    content: bytes
    location: str = ""


@dataclass
class Step:
    """One thing that a client wants.

    :param name: of it, for people.
    :param run: sends the requests; fails when it was not acknowledged.
    :param changes: what is so when it was acknowledged.
    :param session: the upload session that it uses, if it can be resumed.
    """

    name: str
    run: Callable[[Client], None]
    changes: Mapping[Key, Value]
    session: Session | None = None
    #: the session's locations, each with the number of operations at which it was told.
    locations: list[tuple[int, str]] = field(default_factory=list)
    #: the numbers of operations before it and after it.
    began: int = 0
    ended: int = 0


def blob_at(
    name: str, content: bytes, algorithm: str = "sha256"
) -> Mapping[Key, Value]:
    """Return what is so when a blob was pushed."""
    digests = {Digest.of(content, algorithm), Digest.of(content)}
    return {("blobs", name, digest): content for digest in digests}


def push(content: bytes, name: str = REPO, algorithm: str = "sha256") -> Step:
    """Push a blob: POST, then one PUT with all of it."""

    def run(client: Client) -> None:
        push_blob(client, name, content, algorithm)

    return Step("POST, PUT", run, blob_at(name, content, algorithm))


def push_whole(content: bytes) -> Step:
    """Push a blob with one POST."""
    digest = Digest.of(content)

    def run(client: Client) -> None:
        response = client.post(uploads_url(REPO, digest=digest), data=content)
        assert response.status_code == 201, response.text

    return Step("POST with all", run, blob_at(REPO, content))


def push_chunks(content: bytes, *cut_at: int) -> Step:
    """Push a blob as docker does: POST, PATCHes, and a PUT without a body."""
    session = Session(content)

    def run(client: Client) -> None:
        session.location = start(client, REPO)
        for begin, end in zip((0, *cut_at), (*cut_at, len(content)), strict=True):
            append(client, session, content[begin:end], begin)
        close(client, session)

    return Step("POST, PATCHes, PUT", run, blob_at(REPO, content), session)


def append(client: Client, session: Session, chunk: bytes, at: int) -> None:
    """Send a chunk."""
    headers = {"Content-Range": f"{at}-{at + len(chunk) - 1}"}
    response = client.patch(session.location, data=chunk, headers=headers)
    assert response.status_code == 202, response.text
    session.location = response.headers["Location"]


def close(client: Client, session: Session) -> None:
    """Close a session."""
    location = with_digest(session.location, Digest.of(session.content))
    response = client.put(location)
    assert response.status_code == 201, response.text


def mount(content: bytes, source: str, name: str) -> Step:
    """Mount a blob from another repository."""
    digest = Digest.of(content)

    def run(client: Client) -> None:
        response = client.post(uploads_url(name, mount=digest, **{"from": source}))
        assert response.status_code == 201, response.text

    return Step("mount", run, blob_at(name, content))


def put(content: bytes, *tags: str, subject: Digest | None = None) -> Step:
    """Push a manifest by its digest, with its tags."""
    digest = Digest.of(content)
    query = "?" + "&".join(f"tag={tag}" for tag in tags) if tags else ""
    changes: dict[Key, Value] = {("manifests", REPO, digest): content}
    changes |= {("manifests", REPO, tag): content for tag in tags}
    if subject is not None:
        changes["referrers", REPO, subject] = frozenset({digest})

    def run(client: Client) -> None:
        response = push_manifest(client, REPO, content, query=query)
        assert response.status_code == 201, response.text

    return Step(f"PUT of a manifest {query}", run, changes)


def put_tag(content: bytes, tag: str) -> Step:
    """Push a manifest by a tag."""
    changes = {("manifests", REPO, key): content for key in (Digest.of(content), tag)}

    def run(client: Client) -> None:
        response = push_manifest(client, REPO, content, tag)
        assert response.status_code == 201, response.text

    return Step(f"PUT of tag {tag}", run, changes)


def delete(kind: str, reference: str, *also: str) -> Step:
    """Delete something, and what goes with it.

    Done again it may find that it was done already.
    """
    changes = {(kind, REPO, each): None for each in (reference, *also)}

    def run(client: Client) -> None:
        url = {"blobs": blob_url, "manifests": manifest_url}[kind](REPO, reference)
        response = client.delete(url)
        assert response.status_code in {202, 404}, response.text

    return Step(f"DELETE of {reference}", run, changes)


PUSHED = (push(CONFIG), push(LAYER))
TAGGED = (*PUSHED, put_tag(IMAGE, "one"))

#: what was done long before, and what is cut after each of its operations.
STORIES: Mapping[str, tuple[Sequence[Step], Sequence[Step]]] = {
    "blob": ((), (push(LAYER),)),
    "blob at once": ((), (push_whole(LAYER),)),
    "blob in chunks": ((), (push_chunks(LAYER, 1000, 1700),)),
    "blob by another digest": ((), (push(LAYER, algorithm="sha512"),)),
    "image": ((), TAGGED),
    "mount": ((push(LAYER),), (mount(LAYER, REPO, "c"),)),
    "tags": (PUSHED, (put(IMAGE, "x", "y"),)),
    "subject": (TAGGED, (put(REFERRER, "z", subject=SUBJECT),)),
    "pushed again": (TAGGED, (push_chunks(LAYER, 500), put_tag(IMAGE, "one"))),
    "tag moved": (TAGGED, (put_tag(NEXT, "one"),)),
    "tag deleted": (TAGGED, (delete("manifests", "one"), put_tag(IMAGE, "one"))),
    "manifest deleted": (
        TAGGED,
        (delete("manifests", SUBJECT, "one"), put_tag(IMAGE, "one")),
    ),
    "blob deleted": (
        PUSHED,
        (delete("blobs", Digest.of(LAYER)), push_chunks(LAYER, 1500)),
    ),
}


# What is there


def make_client(root: Path) -> Client:
    """Return a client of a fresh application, whose syncs nobody needs."""
    settings = Settings.model_validate(
        {
            "http": {"secret": "shared"},
            "storage": {
                "driver": "filesystem",
                "parameters": {"rootdirectory": str(root), "fsync": False},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
        }
    )
    return Client(create_app(settings))


def make_durable_client(root: Path) -> Client:
    """Return a client of an application as it is by default."""
    client = make_client(root)
    app: Any = client.application
    app.driver._fsync = True
    return client


def read(client: Client, key: Key) -> Value:
    """Return what a client gets; it has the digest that was asked for and is told.

    A HEAD tells the same as a GET: a client that is told that content is there does not
    send it again.
    """
    kind, name, reference = key
    if kind == "referrers":
        response = client.get(f"/v2/{name}/referrers/{reference}")
        if response.status_code == 404:
            return frozenset()
        listed = json.loads(response.data)["manifests"]
        return frozenset(each["digest"] for each in listed)
    url = {"blobs": blob_url, "manifests": manifest_url}[kind](name, reference)
    head, response = client.head(url), client.get(url)
    assert head.status_code == response.status_code
    if response.status_code == 404:
        return None
    assert response.status_code == 200, response.text
    content: bytes = response.data
    assert int(head.headers["Content-Length"]) == len(content)
    told = response.headers["Docker-Content-Digest"]
    assert Digest.of(content, told.partition(":")[0]) == told
    if ":" in reference:
        assert Digest.of(content, reference.partition(":")[0]) == reference
    elif kind == "manifests":
        tags = client.get(f"/v2/{name}/tags/list")
        assert reference in json.loads(tags.data)["tags"]
    return content


# The stories with their cuts


@dataclass
class Told:
    """A story as it was told: its steps, and every operation on the disk."""

    steps: Sequence[Step]
    #: the number of operations before the steps that are cut.
    begin: int
    operations: Sequence[Operation]


@dataclass(frozen=True)
class Facts:
    """What must hold at one cut.

    :param settled: what was acknowledged and is not being changed.
    :param step: what was under way, or is next.
    """

    settled: Mapping[Key, Value]
    step: Step

    def allowed(self, key: Key) -> tuple[Value, ...]:
        """Return what may be read: the old, or the new that is under way."""
        nothing = frozenset[str]() if key[0] == "referrers" else None
        old = self.settled.get(key, nothing)
        return (old, self.step.changes[key]) if key in self.step.changes else (old,)


def tell(story: str, root: Path) -> Told:
    """Let the client do all of a story, on a disk that notes it."""
    before, after = STORIES[story]
    steps = [
        Step(each.name, each.run, each.changes, each.session)
        for each in (*before, *after)
    ]
    root.mkdir()
    with recording(root) as recorder:
        client = make_durable_client(root)
        for step in steps:
            step.began = len(recorder.operations)
            with noted(step, client, recorder.operations):
                step.run(client)
            step.ended = len(recorder.operations)
    return Told(steps, steps[len(before)].began, recorder.operations)


class noted:
    """Notes the locations that a step's session is told, with the time of each."""

    def __init__(
        self, step: Step, client: Client, operations: Sequence[Operation]
    ) -> None:
        self._step = step
        self._client = client
        self._operations = operations
        self._open = client.open

    def __enter__(self) -> None:
        def opened(*args: Any, **kwargs: Any) -> Any:
            response = self._open(*args, **kwargs)
            if response.status_code == 202 and "Location" in response.headers:
                entry = (len(self._operations), response.headers["Location"])
                self._step.locations.append(entry)
            return response

        self._client.open = opened  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        self._client.open = self._open  # type: ignore[method-assign]


def facts_at(told: Told, cut: int) -> Facts:
    """Return what must hold after a number of operations."""
    settled: dict[Key, Value] = {}
    for step in told.steps:
        if cut < step.ended:
            return Facts(settled, step)
        settled |= step.changes
    return Facts(settled, told.steps[-1])


def survivors(
    told: Told, kind: str, ignored: Sequence[str] = ()
) -> Iterator[tuple[int, str, Tree]]:
    """Yield every disk that may be found after a cut, each once for what must hold."""
    seen: set[object] = set()
    for cut, model in cuts(told.operations, kind, ignored):
        if cut < told.begin:
            continue
        step = facts_at(told, cut).step
        acknowledged = [step.ended <= cut for step in told.steps]
        sent = sum(at <= cut for at, _ in step.locations)
        for make in OUTCOMES[kind]:
            outcome = make(cut)
            tree = model.survivors(outcome)
            key = (frozenset(tree.items()), sum(acknowledged), sent)
            if key not in seen:
                seen.add(key)
                yield cut, type(outcome).__name__, tree


def check_facts(client: Client, facts: Facts) -> None:
    """See that all is there that must be, and nothing that must not."""
    for key in {**facts.settled, **facts.step.changes}:
        found = read(client, key)
        assert found in facts.allowed(key), f"{key}: {found!r}"


def check_resumed(client: Client, root: Path, step: Step, cut: int) -> None:
    """Go on with the session, where the client knows of one and it is there.

    What is told to be there and is right leads to the blob; what is not right never
    does.
    """
    known = [location for at, location in step.locations if at <= cut]
    if step.session is None or not known or cut >= step.ended:
        return
    content = step.session.content
    status = client.get(known[-1])
    if status.status_code == 404:
        return
    assert status.status_code == 204, status.text
    session = Session(content, status.headers["Location"])
    last = int(status.headers["Range"].partition("-")[2])
    at = last + 1 if last else 0
    path = status.headers["Docker-Upload-UUID"]
    found = [file.read_bytes() for file in root.glob(f"**/_uploads/{path}/data")]
    stored = b"".join(found)
    assert len(stored) in {at, at + 1}
    if at < len(content):
        append(client, session, content[at:], at)
    url = with_digest(session.location, Digest.of(content))
    closed = client.put(url)
    if content.startswith(stored):
        assert closed.status_code == 201, closed.text
    else:
        assert closed.status_code == 400, closed.text
    if closed.status_code == 201:
        for key in step.changes:
            assert read(client, key) == content


def check(root: Path, told: Told, cut: int, tree: Tree) -> None:
    """See what a fresh application makes of a disk."""
    materialise(tree, root)
    facts = facts_at(told, cut)
    client = make_client(root)
    check_facts(client, facts)
    check_resumed(client, root, facts.step, cut)
    facts.step.run(client)
    done = Facts({**facts.settled, **facts.step.changes}, Step("", facts.step.run, {}))
    check_facts(client, done)


def failures(
    told: Told, kind: str, folder: Path, ignored: Sequence[str] = ()
) -> Iterator[str]:
    """Yield what does not hold, with the cut after which it does not."""
    for number, (cut, outcome, tree) in enumerate(survivors(told, kind, ignored)):
        root = folder / str(number)
        try:
            check(root, told, cut, tree)
        except AssertionError as error:
            step = facts_at(told, cut).step
            last = str(told.operations[cut - 1]) if cut else "nothing"
            sentence = str(error).partition("\n")[0]
            yield f"{step.name}, cut {cut} after {last}, {outcome}: {sentence[:200]}"
        finally:
            shutil.rmtree(root)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return an empty directory, in memory where that is possible: it is written to
    and deleted hundreds of times.
    """
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def one_plugin_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for plugins once, and not at each of hundreds of starts."""
    manager = make_plugin_manager(discover=False)
    monkeypatch.setattr(application, "make_plugin_manager", lambda *_: manager)


@pytest.mark.parametrize("kind", OUTCOMES)
@pytest.mark.parametrize("story", STORIES)
def test_power_cut(folder: Path, story: str, kind: str) -> None:
    """Whatever was being done, and after whichever operation the power went."""
    told = tell(story, folder / "disk")
    found = list(failures(told, kind, folder))
    assert not found, "\n".join([f"{len(found)} failures", *found[:12]])


@pytest.mark.parametrize("kind", OUTCOMES)
@pytest.mark.parametrize("forgotten", ["sync_file", "sync_directory"])
def test_forgotten_sync_is_found(folder: Path, kind: str, forgotten: str) -> None:
    """A driver that left out a kind of syncs would not pass: the test can fail."""
    told = tell("image", folder / "disk")
    assert next(failures(told, kind, folder, [forgotten]), None)
