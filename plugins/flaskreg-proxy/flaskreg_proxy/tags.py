"""The tags of a cached repository: as the upstream lists them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence

from flaskreg.digest import Digest
from flaskreg.errors import NameUnknown
from flaskreg.services import TagStore
from flaskreg_proxy.context import Context
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.errors import UpstreamError


class ProxyTags(TagStore):
    """Tags; the list is the upstream's, and what is here when that fails.

    Source: CNCF distribution's ``proxyTagService``.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._local = context.local.tags

    def get(self, tag: str) -> Digest:
        """Return what a tag names here."""
        return self._local.get(tag)

    def tag(self, tag: str, digest: Digest) -> None:
        """Refuse: nothing is pushed to a cache."""
        del tag, digest
        raise self._context.refusal()

    def untag(self, tag: str) -> None:
        """Refuse: what is cached goes by itself."""
        del tag
        raise self._context.refusal()

    def list(self, limit: int | None = None, last: str = "") -> Sequence[str]:
        """Return a page of the upstream's list, in its order."""
        if limit == 0:
            return []
        try:
            self._context.check_online()
            return self._context.remote.list_tags(limit, last)
        except NotThere:
            raise NameUnknown({"name": self._context.local.name}) from None
        except UpstreamError as error:
            try:
                return self._local.list(limit, last)
            except NameUnknown:
                raise error from None

    def lookup(self, digests: Iterable[Digest]) -> Sequence[str]:
        """Return the tags that are here."""
        return self._local.lookup(digests)
