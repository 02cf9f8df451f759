"""The manifests of a cached repository."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from collections.abc import Sequence

from flaskreg.digest import Digest
from flaskreg.errors import DigestInvalid
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


_log = logging.getLogger("flaskreg")

#: how long a manifest waits until there is room for it in the cache, in seconds.
ROOM = 1.0


class ProxyManifests(ManifestStore):
    """One view of the manifests, for one request.

    :param context: of the repository.
    :param local: its manifests that are here, layers not verified.
    """

    def __init__(self, context: Context, local: ManifestStore) -> None:
        self._context = context
        self._local = local
        self._name = context.local.name
        #: why what was served may be old; ``""`` when it is not.
        self._stale = ""

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
        counters = self._context.counters
        counters.manifest_requests += 1
        try:
            manifest = self._local.get(digest)
            counters.manifest_hits += 1
        except ManifestUnknown:
            manifest = self._fetch_once(digest)
            counters.manifest_misses += 1
        return self._served(manifest)

    def get_tagged(self, tag: str) -> Manifest:
        """Return what a tag names there now, or named when it was looked up last.

        :raises UpstreamError: it is not here, and cannot be had.
        """
        counters = self._context.counters
        counters.manifest_requests += 1
        held: Digest | None = None
        try:
            manifest = self._local.get_tagged(tag)
        except ManifestUnknown:
            counters.manifest_misses += 1
            self._look_up_new(tag)
        except ManifestNotModified:
            if self._fresh(tag):
                raise
            held = self._context.local.tags.get(tag)
        else:
            counters.manifest_hits += 1
            if self._fresh(tag):
                return self._served(manifest)
            held = manifest.digest
        if held is not None:
            self._renew(tag, held)
        return self._served(self._get_looked_up(tag))

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

    def _served(self, manifest: Manifest) -> Manifest:
        size, context = len(manifest.content), self._context
        context.counters.manifest_bytes_pushed += size
        context.lifetimes.touch(self._name, "manifest", manifest.digest, size)
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

    def _get_looked_up(self, tag: str) -> Manifest:
        """Return what a tag names that was looked up, also when it just went."""
        try:
            return self._local.get_tagged(tag)
        except ManifestUnknown:
            self._look_up_new(tag)
            return self._local.get_tagged(tag)

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
        context = self._context
        try:
            digest = context.remote.find_digest(tag, held, budget)
        except LookupError:
            self._fetch(tag, None, [tag], budget)
        else:
            if digest != held:
                self._point(tag, digest, budget)
        context.freshness.seen(self._name, tag)

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
        self._context.counters.manifest_stale += 1
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
        """Get a manifest, verify its digest, and keep it."""
        context = self._context
        got = context.remote.get_manifest(reference, budget)
        context.counters.manifest_bytes_pulled += len(got.content)
        lifetimes = context.lifetimes
        try:
            # A manifest is small: one for which there is no room yet is kept, too.
            with (
                lifetimes.room(len(got.content), ROOM),
                lifetimes.pinned(Digest.of(got.content)),
            ):
                manifest = self._local.put(got.content, got.media_type, digest, tags)
                self._touch(manifest)
                return manifest
        except DigestInvalid as error:
            _log.error("proxy: the upstream sent a wrong manifest for %s", reference)
            raise UpstreamFailed(
                error.detail, message="the upstream sent a wrong manifest"
            ) from None
