"""The manifests of a cached repository."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence

from flaskreg.digest import Digest
from flaskreg.driver import StorageFull
from flaskreg.errors import DigestInvalid
from flaskreg.errors import InsufficientStorage
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import RegistryError
from flaskreg.manifest import Manifest
from flaskreg.services import ManifestNotModified
from flaskreg.services import ManifestStore
from flaskreg_proxy.budget import FETCH
from flaskreg_proxy.budget import REVALIDATION
from flaskreg_proxy.budget import Budget
from flaskreg_proxy.budget import within
from flaskreg_proxy.context import Context
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.errors import UpstreamError
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.errors import UpstreamTimeout
from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import key_of
from flaskreg_proxy.remote import RemoteManifest


_log = logging.getLogger("flaskreg")

#: how long a manifest waits until there is room for it in the cache, in seconds.
ROOM = 1.0


class ProxyManifests(ManifestStore):
    """One view of the manifests, for one request.

    :param context: of the repository.
    :param local: its manifests that are here, layers not verified.
    """

    #: why what was served may be old; ``""`` when it is not.
    _stale = ""
    #: whether the upstream sent what is served.
    _had = False
    #: what it sent, and there was no room to keep.
    _unkept: Manifest | None = None

    def __init__(self, context: Context, local: ManifestStore) -> None:
        self._context = context
        self._local = local
        self._name = context.local.name

    def exists(self, digest: Digest) -> bool:
        """Whether the manifest is here or there."""
        if self._local.exists(digest):
            return True
        try:
            self.get(digest)
        except ManifestUnknown:
            return False
        return True

    def get(self, digest: Digest) -> Manifest:
        """Return a manifest; the upstream is asked for what is not here alone."""
        try:
            manifest = self._local.get(digest)
        except ManifestUnknown:
            return self._served_or_refused(lambda: self._fetch_once(digest))
        return self._served_from_here(manifest)

    def get_tagged(self, tag: str) -> Manifest:
        """Return what a tag names there now, or named when it was looked up last.

        :raises UpstreamError: it is not here, and cannot be had.
        """
        held: Digest | None = None
        try:
            manifest = self._local.get_tagged(tag)
        except ManifestUnknown:
            pass
        except ManifestNotModified:
            if self._fresh(tag):
                self._context.counters.manifests.hit(0)
                raise
            held = self._context.local.tags.get(tag)
        else:
            if self._fresh(tag):
                return self._served_from_here(manifest)
            held = manifest.digest
        return self._served_or_refused(lambda: self._look_up_and_get(tag, held))

    def put(
        self,
        content: bytes,
        media_type: str,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        frozen: Collection[str] = (),
    ) -> Manifest:
        """Refuse: nothing is pushed to a cache."""
        del content, media_type, digest, tags, frozen
        raise self._context.refusal()

    def delete(self, digest: Digest) -> Sequence[str]:
        """Refuse: what is cached goes by itself."""
        del digest
        raise self._context.refusal()

    def warnings(self, manifest: Manifest) -> Sequence[str]:
        """Return what the options warn of, and whether this may be old."""
        told = self._local.warnings(manifest)
        return [*told, self._stale] if self._stale else told

    def _served_from_here(self, manifest: Manifest) -> Manifest:
        size, context = len(manifest.content), self._context
        context.counters.manifests.hit(size)
        context.lifetimes.touch(self._name, "manifest", manifest.digest, size)
        return manifest

    def _served_or_refused(self, get: Callable[[], Manifest]) -> Manifest:
        """Serve what the upstream has a say in."""
        counters = self._context.counters.manifests
        self._had = False
        try:
            manifest = get()
        except ManifestNotModified:
            counters.hit(0)
            raise
        except RegistryError:
            counters.refused()
            raise
        if not self._had:
            return self._served_from_here(manifest)
        counters.missed(len(manifest.content))
        if manifest is not self._unkept:
            self._touch(manifest)
        return manifest

    def _touch(self, manifest: Manifest) -> None:
        self._context.lifetimes.touch(
            self._name, "manifest", manifest.digest, len(manifest.content)
        )

    # Tags

    def _is_here(self, tag: str) -> bool:
        """Whether a tag is here, and the manifest that it names."""
        try:
            return self._local.exists(self._context.local.tags.get(tag))
        except ManifestUnknown:
            return False

    def _fresh(self, tag: str) -> bool:
        """Whether a tag is served as it is here."""
        context = self._context
        if context.upstream.offline:
            return True
        if context.freshness.is_fresh(
            self._name, tag, context.upstream.settings.tagttl
        ):
            return True
        if context.upstream.client.spent:
            self._mark("the upstream registry asks to be spared")
            return True
        return False

    def _look_up_and_get(self, tag: str, held: Digest | None) -> Manifest:
        """Look a tag up, and return what it names."""
        if held is None:
            self._look_up_new(tag)
        else:
            self._renew(tag, held)
        return self._unkept or self._get_looked_up(tag)

    def _get_looked_up(self, tag: str) -> Manifest:
        """Return what a tag names that was looked up, also when it just went."""
        try:
            return self._local.get_tagged(tag)
        except ManifestUnknown:
            self._look_up_new(tag)
            return self._unkept or self._local.get_tagged(tag)

    def _look_up_new(self, tag: str) -> None:
        """Get a tag that is not here."""
        context = self._context
        context.check_online()
        lease = context.freshness.lease(self._name, tag, FETCH)
        try:
            if not self._is_here(tag):
                within(FETCH, lambda: self._look_up(tag, None, Budget(FETCH)))
        except NotThere:
            raise ManifestUnknown(f"unknown tag={tag}") from None
        finally:
            if lease is not None:
                lease.release()

    def _renew(self, tag: str, held: Digest) -> None:
        """Look a tag up that is here; what goes wrong leaves it as it is, marked."""
        if self._context.upstream.settings.mode == "stale-while-revalidate":
            threading.Thread(
                target=self._renew_behind, args=(tag, held), daemon=True
            ).start()
            return
        try:
            within(REVALIDATION, lambda: self._look_up_held(tag, held, REVALIDATION))
        except UpstreamError as error:
            self._mark(str(error))
            _log.warning("proxy: %s:%s is served stale: %s", self._name, tag, error)
        except NotThere:
            self._gone(tag)

    def _renew_behind(self, tag: str, held: Digest) -> None:
        try:
            self._look_up_held(tag, held, 0)
        except NotThere:
            return
        except RegistryError as error:
            _log.info("proxy: %s:%s is not renewed: %s", self._name, tag, error)
        except Exception:  # noqa: BLE001 - nobody waits for it
            _log.exception("proxy: %s:%s is not renewed", self._name, tag)

    def _look_up_held(self, tag: str, held: Digest, patience: float) -> None:
        context = self._context
        context.upstream.check(context.remote.name)
        lease = context.freshness.lease(self._name, tag, patience)
        if lease is None:
            if patience:
                raise UpstreamTimeout
            return
        try:
            ttl = context.upstream.settings.tagttl
            if not ttl or context.freshness.age(self._name, tag) >= ttl:
                self._look_up(tag, held, Budget(REVALIDATION))
        except NotThere:
            context.freshness.asked(self._name, tag)
            raise
        finally:
            lease.release()

    def _look_up(self, tag: str, held: Digest | None, budget: Budget) -> None:
        """Let a tag name here what it names there."""
        counters = self._context.counters
        try:
            digest = self._follow(tag, held, budget)
        except NotThere:
            counters.looked_up("gone")
            raise
        except UpstreamError:
            counters.looked_up("failed")
            raise
        if digest == held:
            counters.looked_up("same")
        else:
            counters.looked_up("new" if held is None else "moved")
        if self._unkept is None:
            self._context.freshness.seen(self._name, tag)

    def _follow(self, tag: str, held: Digest | None, budget: Budget) -> Digest:
        try:
            digest = self._context.remote.find_digest(tag, held, budget)
        except LookupError:
            return self._fetch(tag, None, [tag], budget).digest
        if digest != held:
            self._point(tag, digest, budget)
        return digest

    def _point(self, tag: str, digest: Digest, budget: Budget) -> None:
        """Let a tag name a manifest, which is had by digest, so that the two agree."""
        if self._local.exists(digest):
            self._context.local.tags.tag(tag, digest)
        else:
            self._fetch(digest, digest, [tag], budget)

    def _gone(self, tag: str) -> None:
        """Serve a tag that the upstream has no more, for a while."""
        context = self._context
        unseen = context.freshness.unseen(self._name, tag)
        if unseen >= context.upstream.settings.staleifgone:
            raise ManifestUnknown(f"unknown tag={tag}")
        self._mark("the upstream registry has it no more")

    def _mark(self, reason: str) -> None:
        self._context.counters.stale()
        self._stale = f"served from the cache, may be stale: {reason}"

    # Content

    def _fetch_once(self, digest: Digest) -> Manifest:
        """Get a manifest by digest, once for all who want it now."""
        context = self._context
        context.check_online()
        key = key_of("manifest", self._name, digest)
        lease = Lease.take(context.lock(key), FETCH)
        try:
            if self._local.exists(digest):
                return self._local.get(digest)
            return within(FETCH, lambda: self._fetch(digest, digest, (), Budget(FETCH)))
        except NotThere:
            raise ManifestUnknown(
                f"unknown manifest name={self._name} revision={digest}"
            ) from None
        finally:
            if lease is not None:
                lease.release()

    def _fetch(
        self,
        reference: str,
        digest: Digest | None,
        tags: Sequence[str],
        budget: Budget,
    ) -> Manifest:
        """Get a manifest, verify its digest, and keep it when there is room for it."""
        context = self._context
        got = context.remote.get_manifest(reference, budget)
        context.counters.manifests.pulled(len(got.content))
        self._had = True
        try:
            return self._keep(got, digest, tags)
        except DigestInvalid as error:
            _log.error("proxy: the upstream sent a wrong manifest for %s", reference)
            raise UpstreamFailed(
                error.detail, message="the upstream sent a wrong manifest"
            ) from None
        except (StorageFull, InsufficientStorage):
            # Its digest is compared before it is stored.
            _log.warning("proxy: no room on the disk for %s@%s", self._name, reference)
            found = digest or Digest.of(got.content)
            self._unkept = context.parse(got.content, got.media_type, found)
            return self._unkept

    def _keep(
        self, got: RemoteManifest, digest: Digest | None, tags: Sequence[str]
    ) -> Manifest:
        """Store a manifest; a small one for which there is no room yet, too."""
        lifetimes = self._context.lifetimes
        with (
            lifetimes.room(len(got.content), ROOM),
            lifetimes.pinned(Digest.of(got.content)),
        ):
            manifest = self._local.put(got.content, got.media_type, digest, tags)
            self._touch(manifest)
            return manifest
