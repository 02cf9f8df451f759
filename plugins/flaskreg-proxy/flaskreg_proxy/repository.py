"""A repository that is a cache of one of an upstream."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.errors import BlobUploadInvalid
from flaskreg.services import ManifestServiceOption
from flaskreg.services import ManifestStore
from flaskreg.services import Repository
from flaskreg.services import SkipLayerVerification
from flaskreg.services import UploadSession
from flaskreg.services import UploadStore
from flaskreg_proxy.blobs import ProxyBlobs
from flaskreg_proxy.context import Context
from flaskreg_proxy.manifests import ProxyManifests
from flaskreg_proxy.referrers import ProxyReferrers
from flaskreg_proxy.tags import ProxyTags


class NoUploads(UploadStore):
    """Refuses uploads.

    :param context: of the repository.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def start(self, algorithm: str = "sha256", owner: str = "") -> UploadSession:
        """Refuse to start one."""
        del algorithm, owner
        raise self._context.refusal()

    def take(self, digest: Digest, chunks: Iterable[bytes]) -> Descriptor:
        """Refuse a whole blob."""
        del digest, chunks
        raise self._context.refusal()

    def resume(
        self,
        session_id: str,
        owner: str = "",
        promised: datetime | None = None,
        expected: int | None = None,
    ) -> UploadSession:
        """Know none; the answer is CNCF distribution's."""
        del session_id, owner, promised, expected
        raise BlobUploadInvalid


class ProxyRepository(Repository):
    """The stores of one cached repository; it keeps no state.

    :param context: what they share.
    """

    blobs: ProxyBlobs

    def __init__(self, context: Context) -> None:
        self.name = context.local.name
        self.blobs = ProxyBlobs(context)
        self.uploads = NoUploads(context)
        self.tags = ProxyTags(context)
        self.referrers = ProxyReferrers(context, self)
        self.signatures = context.local.signatures
        self._context = context
        self._plain = context.local.manifests(SkipLayerVerification())

    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, for one request."""
        local = self._plain
        if options:
            local = self._context.local.manifests(SkipLayerVerification(), *options)
        return ProxyManifests(self._context, local)

    def exists(self) -> bool:
        """Whether anything of it is here."""
        return self._context.local.exists()
