"""Filling a cache ahead of time: whole images, with what refers to them."""

from __future__ import annotations

import fnmatch
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field
from typing import Protocol
from typing import TypeVar

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import RegistryError
from flaskreg.manifest import Manifest
from flaskreg_proxy.blobs import Missing
from flaskreg_proxy.errors import UpstreamLimited
from flaskreg_proxy.repository import ProxyRepository


T = TypeVar("T")

#: how long an upstream may ask to wait, in seconds, and how often in a row.
LONGEST_WAIT = 900.0
MOST_WAITS = 8

#: tags under which signers keep what belongs to a manifest, after its digest.
SUFFIXES = (".sig", ".att", ".sbom")
_STEP = 1 << 20
#: by which an index says to which of its manifests another one belongs.
_BELONGS_TO = "vnd.docker.reference.digest"


class Ended(Exception):
    """A run was told to end before it was done."""


class Progress(Protocol):
    """Told of what goes on, by several threads."""

    def expect(self, size: int) -> None:
        """Count bytes that are to come."""

    def advance(self, size: int) -> None:
        """Count bytes that have come, or are here."""

    def say(self, sentence: str) -> None:
        """Tell what somebody may want to know."""


@dataclass
class Outcome:
    """What one run has done."""

    manifests: int = 0
    blobs: int = 0
    #: bytes that came, and bytes that were here before.
    received: int = 0
    here: int = 0
    #: one sentence each.
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """What of an image is wanted.

    :param platforms: such as ``linux/arm64``; none for all.
    :param tags: globs of tags, for a repository that is named without one.
    :param referrers: whether signatures and the like are wanted too.
    """

    platforms: Sequence[str] = ()
    tags: Sequence[str] = ()
    referrers: bool = True


class Mirroring:
    """Pulls what is chosen through a cache, so that it is here.

    What is here is not had again, and what an earlier run has begun is gone on with.

    :param choice: what is wanted.
    :param progress: told of what goes on.
    :param jobs: blobs that are received at once.
    :param go_on: asked now and then; ``False`` ends the run.
    """

    def __init__(
        self,
        choice: Choice,
        progress: Progress,
        jobs: int,
        go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self.outcome = Outcome()
        self._choice = choice
        self._progress = progress
        self._pool = ThreadPoolExecutor(jobs)
        self._lock = threading.Lock()
        self._go_on = go_on
        self._seen: set[tuple[str, str]] = set()

    def run(self, repository: ProxyRepository, reference: str | None) -> None:
        """Mirror a tag or digest of a repository, or its tags.

        :raises Ended: it was told to.
        """
        if reference is not None:
            references: Sequence[str] = [reference]
        else:
            listed = self._try(repository.name, lambda: self._tags(repository))
            references = listed or []
        for each in references:
            self._image(repository, each)

    def close(self) -> None:
        """Wait for what is on its way."""
        self._pool.shutdown()

    def _tags(self, repository: ProxyRepository) -> Sequence[str]:
        globs = self._choice.tags or ("*",)
        return [
            tag
            for tag in repository.tags.list()
            if any(fnmatch.fnmatchcase(tag, glob) for glob in globs)
        ]

    def _image(self, repository: ProxyRepository, reference: str) -> None:
        manifests = repository.manifests()
        what = f"{repository.name}:{reference}"

        def get() -> Manifest:
            if isinstance(reference, Digest):
                return manifests.get(reference)
            return manifests.get_tagged(reference)

        manifest = self._try(what, get)
        if manifest is not None:
            for sentence in manifests.warnings(manifest):
                self._progress.say(f"{what}: {sentence}")
            self._manifest(repository, manifest)

    def _manifest(self, repository: ProxyRepository, manifest: Manifest) -> None:
        """Mirror what a manifest lists, and what refers to it."""
        if not self._first(repository.name, manifest.digest):
            return
        self.outcome.manifests += 1
        for child in self._children(manifest):
            self._image(repository, child.digest)
        waiting = [
            self._pool.submit(self._blob, repository, blob)
            for blob in manifest.blobs
            if self._first(repository.name, blob.digest)
        ]
        for blob in waiting:
            blob.result()
        if self._choice.referrers:
            self._referrers(repository, manifest.digest)

    def _children(self, index: Manifest) -> Sequence[Descriptor]:
        """Return the manifests of an index that are on a wanted platform."""
        if not self._choice.platforms:
            return index.manifests
        wanted = [it for it in index.manifests if self._is_wanted(it)]
        digests = {it.digest for it in wanted}
        return [
            it
            for it in index.manifests
            if it.digest in digests
            or (it.annotations or {}).get(_BELONGS_TO) in digests
        ]

    def _is_wanted(self, child: Descriptor) -> bool:
        platform = child.platform or {}
        names = [platform.get(key) for key in ("os", "architecture", "variant")]
        text = "/".join(str(name) for name in names if name)
        return any(
            text == wanted or text.startswith(f"{wanted}/")
            for wanted in self._choice.platforms
        )

    def _referrers(self, repository: ProxyRepository, subject: Digest) -> None:
        what = f"referrers of {repository.name}@{subject}"
        listed = self._try(
            what, lambda: list(repository.referrers.iter_referrers(subject))
        )
        for descriptor in listed or []:
            self._image(repository, descriptor.digest)
        for suffix in SUFFIXES:
            self._signature(repository, subject.replace(":", "-") + suffix)

    def _signature(self, repository: ProxyRepository, tag: str) -> None:
        """Mirror a tag that may be there."""
        try:
            manifest = self._patiently(lambda: repository.manifests().get_tagged(tag))
        except ManifestUnknown:
            return
        except RegistryError as error:
            self._fail(f"{repository.name}:{tag}: {error}")
            return
        self._manifest(repository, manifest)

    def _blob(self, repository: ProxyRepository, listed: Descriptor) -> None:
        """Receive a blob, unless it is here."""
        what = f"{repository.name}@{listed.digest}"
        self._progress.expect(listed.size)
        done = self._try(what, lambda: self._receive(repository, listed.digest))
        with self._lock:
            self.outcome.blobs += done is not None
        self._progress.advance(listed.size - (done or 0))

    def _receive(self, repository: ProxyRepository, digest: Digest) -> int:
        """Return how many bytes came, and were told as they did."""
        descriptor = repository.blobs.stat(digest)
        if not isinstance(descriptor, Missing):
            repository.blobs.renew(descriptor)
            with self._lock:
                self.outcome.here += descriptor.size
            return 0
        received = 0
        with closing(repository.blobs.open(descriptor)) as reader:
            while chunk := reader.read(_STEP):
                received += len(chunk)
                self._progress.advance(len(chunk))
                self._check()
        if not repository.blobs.holds(digest):
            self._fail(f"{repository.name}@{digest}: no room for it in the cache")
        with self._lock:
            self.outcome.received += received
        return received

    def _first(self, name: str, digest: Digest) -> bool:
        with self._lock:
            if (name, digest) in self._seen:
                return False
            self._seen.add((name, digest))
            return True

    def _try(self, what: str, call: Callable[[], T]) -> T | None:
        """Return what *call* returns; a failure is noted, and the rest goes on."""
        try:
            return self._patiently(call)
        except ManifestUnknown:
            self._fail(f"{what}: the upstream has not got it")
        except (RegistryError, OSError) as error:
            self._fail(f"{what}: {error}")
        return None

    def _fail(self, sentence: str) -> None:
        with self._lock:
            self.outcome.failures.append(sentence)
        self._progress.say(sentence)

    def _patiently(self, call: Callable[[], T]) -> T:
        """Wait when the upstream asks for it."""
        for _ in range(MOST_WAITS):
            self._check()
            try:
                return call()
            except UpstreamLimited as error:
                if error.seconds > LONGEST_WAIT:
                    raise
                self._progress.say(f"waiting {error.seconds:.0f} s: {error.message}")
                self._wait(error.seconds)
        return call()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, 1.0))

    def _check(self) -> None:
        if not self._go_on():
            raise Ended
