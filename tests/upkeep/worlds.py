"""Random registries: what a client pushed, what it deleted, and what must stay."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from builders import Client
from builders import blob_url
from builders import descriptor
from builders import encode
from builders import index
from builders import manifest_url
from builders import push_blob
from builders import push_manifest

from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.mediatypes import OCI_CONFIG
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.upkeep.collection import Collection
from flaskreg.upkeep.collection import Options
from flaskreg.upkeep.plan import Totals
from flaskreg.upkeep.sweeprun import SweepRun


def collect(app: RegistryApp, name: str = "run", **options: object) -> Totals:
    """Collect the garbage of an application's storage, whatever its age."""
    chosen = Options(**{"grace": 0.0, **options})  # type: ignore[arg-type]
    run = SweepRun(app.driver, name, lambda _name: True)
    return Collection(app.driver, run, chosen).collect()


@dataclass
class Pushed:
    """One manifest as it was pushed."""

    content: bytes
    media_type: str
    digest: Digest
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    children: list[Digest] = field(default_factory=list)
    subject: Digest | None = None


@dataclass
class World:
    """Repositories that a client filled, as it knows them."""

    client: Client
    choose: random.Random
    manifests: dict[tuple[str, Digest], Pushed] = field(default_factory=dict)
    tags: dict[tuple[str, str], Digest] = field(default_factory=dict)

    def fill(self, steps: int) -> None:
        """Push and delete at random."""
        for step in range(steps):
            name = self.choose.choice(["a", "a/b", "c-d/e.f"])
            self.choose.choice(
                [self._image, self._image, self._index, self._referrer, self._delete]
            )(name, f"t{step}")

    def reachable(self, name: str, *, untagged: bool) -> set[Digest]:
        """Return the manifests of a repository that a collection must keep."""
        here = {d: m for (where, d), m in self.manifests.items() if where == name}
        if not untagged:
            return set(here)
        tagged = {d for (where, _), d in self.tags.items() if where == name}
        live: set[Digest] = set()
        grown = tagged & here.keys()
        while grown != live:
            live = set(grown)
            for each in live:
                grown.update(d for d in here[each].children if d in here)
            grown.update(d for d, m in here.items() if m.subject in live)
        return live

    def check(self, *, untagged: bool) -> set[Digest]:
        """See that all that is reachable serves; return the digests of its content."""
        needed = set()
        for name in {where for where, _ in self.manifests}:
            for digest in self.reachable(name, untagged=untagged):
                pushed = self.manifests[name, digest]
                served = self.client.get(manifest_url(name, digest))
                assert served.data == pushed.content, (name, digest)
                needed.add(Digest.of(pushed.content))
                for blob, content in pushed.blobs.items():
                    assert self.client.get(blob_url(name, blob)).data == content
                    needed.add(Digest.of(content))
                if pushed.subject is not None:
                    url = f"/v2/{name}/referrers/{pushed.subject}"
                    listed = self.client.get(url).get_json()["manifests"]
                    assert digest in {each["digest"] for each in listed}
        for (name, tag), digest in self.tags.items():
            pushed = self.manifests[name, digest]
            served = self.client.get(manifest_url(name, tag))
            assert served.data == pushed.content
        return needed

    def _push(self, name: str, pushed: Pushed, tag: str | None) -> None:
        for digest, content in pushed.blobs.items():
            push_blob(self.client, name, content, digest.algorithm)
        reference = tag if tag and pushed.digest.canonical else pushed.digest
        answer = push_manifest(
            self.client, name, pushed.content, reference, pushed.media_type
        )
        assert answer.status_code == 201, answer.text
        self.manifests[name, pushed.digest] = pushed
        if reference == tag:
            self.tags[name, str(tag)] = pushed.digest

    def _maybe(self, tag: str) -> str | None:
        return self.choose.choice([tag, "latest", None])

    def _image(self, name: str, tag: str, subject: Pushed | None = None) -> None:
        algorithm = self.choose.choice(["sha256", "sha256", "sha512"])
        contents = [
            b"{}",
            *(
                self.choose.choice([b"shared", self.choose.randbytes(20)])
                for _ in range(self.choose.randrange(3))
            ),
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(b"{}", OCI_CONFIG),
            "layers": [descriptor(each, algorithm=algorithm) for each in contents[1:]],
            "annotations": {"step": tag},
        }
        if subject is not None:
            document["subject"] = {
                "mediaType": subject.media_type,
                "digest": subject.digest,
                "size": len(subject.content),
            }
        content = encode(document)
        blobs = {Digest.of(each, algorithm): each for each in contents[1:]}
        blobs[Digest.of(b"{}")] = b"{}"
        digest = Digest.of(content, algorithm)
        pushed = Pushed(content, OCI_MANIFEST, digest, blobs)
        pushed.subject = subject.digest if subject else None
        self._push(name, pushed, None if subject else self._maybe(tag))

    def _index(self, name: str, tag: str) -> None:
        here = self._here(name)
        listed = self.choose.sample(here, min(len(here), self.choose.randrange(1, 4)))
        children = [
            {"mediaType": m.media_type, "digest": m.digest, "size": len(m.content)}
            for m in listed
        ]
        content = index(children, annotations={"step": tag})
        pushed = Pushed(content, OCI_INDEX, Digest.of(content))
        pushed.children = [m.digest for m in listed]
        self._push(name, pushed, self._maybe(tag))

    def _referrer(self, name: str, tag: str) -> None:
        here = self._here(name)
        if here:
            self._image(name, tag, self.choose.choice(here))

    def _delete(self, name: str, _tag: str) -> None:
        """Delete a tag, or a manifest that no index lists."""
        tags = sorted(tag for where, tag in self.tags if where == name)
        listed = {d for m in self._here(name) for d in m.children}
        free = [m for m in self._here(name) if m.digest not in listed]
        if tags and self.choose.random() < 0.6:
            tag = self.choose.choice(tags)
            assert self.client.delete(manifest_url(name, tag)).status_code == 202
            del self.tags[name, tag]
        elif free:
            digest = self.choose.choice(free).digest
            assert self.client.delete(manifest_url(name, digest)).status_code == 202
            del self.manifests[name, digest]
            for key in [key for key, d in self.tags.items() if key[0] == name]:
                if self.tags[key] == digest:
                    del self.tags[key]

    def _here(self, name: str) -> list[Pushed]:
        return [m for (where, _), m in self.manifests.items() if where == name]


def stored(app: RegistryApp) -> Iterator[Digest]:
    """Yield the digests of all content that the storage has."""
    for info in app.driver.walk("/"):
        if not info.is_dir and info.path.startswith("/docker/registry/v2/blobs/"):
            yield Digest(f"sha256:{info.path.split('/')[-2]}")


def files(app: RegistryApp) -> dict[str, bytes]:
    """Return every file of the storage."""
    return {
        info.path: app.driver.get_content(info.path)
        for info in app.driver.walk("/")
        if not info.is_dir
    }
