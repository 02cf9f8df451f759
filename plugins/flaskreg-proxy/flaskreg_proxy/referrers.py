"""The referrers of a cached repository: the upstream's list, kept here beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from collections.abc import Sequence

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import RegistryError
from flaskreg.services import ReferrerStore
from flaskreg.services import Repository
from flaskreg.storage.referrers import fallback_tag
from flaskreg_proxy.budget import FETCH
from flaskreg_proxy.budget import within
from flaskreg_proxy.context import Context
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.errors import UpstreamError


_log = logging.getLogger("flaskreg")


class ProxyReferrers(ReferrerStore):
    """Referrers, brought to what the upstream lists before they are read.

    An upstream without such lists keeps them, if at all, under a tag, which is cached
    as any other and read by the local store.

    :param context: of the repository.
    :param repository: the cached repository, for that tag.
    """

    def __init__(self, context: Context, repository: Repository) -> None:
        self._context = context
        self._local = context.local.referrers
        self._repository = repository

    def iter_referrers(self, subject: Digest, last: str = "") -> Iterator[Descriptor]:
        """Yield the referrers of *subject* after digest *last*, in order."""
        if not last and not self._fresh(subject):
            self._bring_up_to_date(subject)
        return self._local.iter_referrers(subject, last)

    def link(self, subject: Digest, referrer: Descriptor) -> None:
        """Refuse: nothing is pushed to a cache."""
        del subject, referrer
        raise self._context.refusal()

    def unlink(self, subject: Digest, referrer: Digest) -> None:
        """Refuse: what is cached goes by itself."""
        del subject, referrer
        raise self._context.refusal()

    def _fresh(self, subject: Digest) -> bool:
        context = self._context
        if context.upstream.offline:
            return True
        ttl = context.upstream.settings.tagttl
        return context.freshness.is_fresh(context.local.name, subject, ttl)

    def _bring_up_to_date(self, subject: Digest) -> None:
        """Ask the upstream; when it fails, what is here is what there is."""
        context = self._context
        try:
            context.check_online()
            listed = within(FETCH, lambda: context.remote.list_referrers(subject))
        except NotThere:
            self._get_fallback(subject)
        except UpstreamError as error:
            if next(iter(self._local.iter_referrers(subject)), None) is None:
                raise
            _log.warning(
                "proxy: referrers in %s are served stale: %s", context.local.name, error
            )
            return
        else:
            self._keep(subject, listed)
        context.freshness.seen(context.local.name, subject)

    def _get_fallback(self, subject: Digest) -> None:
        """Get the list under its tag, and what it lists, so that it can be read."""
        manifests = self._repository.manifests()
        try:
            index = manifests.get_tagged(fallback_tag(subject))
        except (ManifestUnknown, ManifestInvalid):
            return
        for listed in index.manifests:
            try:
                manifests.get(listed.digest)
            except (ManifestUnknown, ManifestInvalid, DigestInvalid):
                continue

    def _keep(self, subject: Digest, listed: Sequence[Descriptor]) -> None:
        wanted = {descriptor.digest: descriptor for descriptor in listed}
        here = {each.digest for each in self._local.iter_referrers(subject)}
        try:
            for digest in wanted.keys() - here:
                self._local.link(subject, wanted[digest])
            for digest in here - wanted.keys():
                self._local.unlink(subject, digest)
        except RegistryError as error:
            _log.warning("proxy: referrers are not kept: %s", error)
