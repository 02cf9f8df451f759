"""The blobs of a cached repository: those that are here, and those of the upstream."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import suppress
from typing import Any
from typing import BinaryIO
from typing import cast

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.errors import BlobUnknown
from flaskreg.errors import RegistryError
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.lru import LRU
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.services import BlobStore
from flaskreg_proxy.budget import FETCH
from flaskreg_proxy.budget import within
from flaskreg_proxy.context import Context
from flaskreg_proxy.downloads import Source
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import key_of


#: how long an upstream's word that it has a blob is taken, in seconds, and how many.
_TRUST = 60.0
_TRUSTED = 1024
#: repositories that are looked at for content that is here already.
_HOLDERS = 1000


class Missing(Descriptor):
    """The descriptor of a blob that the upstream has and this repository has not."""

    __slots__ = ()


class PinnedReader:
    """A reader whose content stays while it is read.

    It keeps the file's number, so that the kernel can send the file.

    :param reader: of the content.
    :param pin: entered, and left when the reader is closed.
    """

    __slots__ = ("_pin", "_reader")

    def __init__(self, reader: BinaryIO, pin: AbstractContextManager[None]) -> None:
        self._reader = reader
        self._pin = pin

    def read(self, size: int = -1) -> bytes:
        """Return further bytes."""
        return self._reader.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset."""
        return self._reader.seek(offset, whence)

    def fileno(self) -> int:
        """Return the file's number.

        :raises OSError: there is none.
        """
        return self._reader.fileno()

    @property
    def send_to(self) -> Any:
        """Return how the reader sends itself, if it does.

        :raises AttributeError: it does not.
        """
        return self._reader.send_to  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the reader, and let go of the content."""
        try:
            self._reader.close()
        finally:
            self._pin.__exit__(None, None, None)

    def __enter__(self) -> PinnedReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._reader)


class ProxyBlobs(BlobStore):
    """Blobs by digest: local first, else shared downloads.

    :param context: of the repository.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._local = context.local.blobs
        self._source = Source(context.local, context.remote, self._find)
        self._known: LRU[Digest, tuple[float, int]] = LRU(_TRUSTED)

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor of a blob; of a missing one as the upstream tells."""
        try:
            return self._local.stat(digest)
        except BlobUnknown:
            return self._stat_remote(digest)

    def get(self, digest: Digest) -> bytes:
        """Return the content of a small blob."""
        with self.open(self.stat(digest)) as reader:
            chunks = []
            while chunk := reader.read(1 << 20):
                chunks.append(chunk)
            return b"".join(chunks)

    def open(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """Open a blob for reading, while it arrives when it is not here."""
        context = self._context
        # Each pull comes here: a stack of contexts costs more than all that is in it.
        pin = context.lifetimes.pinned(descriptor.digest)
        pin.__enter__()
        try:
            reader = self._open(descriptor, offset)
        except BaseException:
            pin.__exit__(None, None, None)
            raise
        return cast("BinaryIO", PinnedReader(reader, pin))

    def redirect(self, descriptor: Descriptor, method: str) -> str | None:
        """Return the driver's URL of what is here."""
        if isinstance(descriptor, Missing):
            return None
        url = self._local.redirect(descriptor, method)
        if url is not None:
            self._sent_by_others(descriptor)
        return url

    def hand_over(
        self, descriptor: Descriptor, request: ContentRequest
    ) -> Handover | None:
        """Return how somebody else sends what is here."""
        if isinstance(descriptor, Missing):
            return None
        found = self._local.hand_over(descriptor, request)
        if found is not None:
            self._sent_by_others(descriptor)
        return found

    def holds(self, digest: Digest) -> bool:
        """Whether a blob is here."""
        try:
            self._local.stat(digest)
        except BlobUnknown:
            return False
        return True

    def put(self, content: bytes, media_type: str) -> Descriptor:
        """Refuse: nothing is pushed to a cache."""
        del content, media_type
        raise self._context.refusal()

    def mount(self, digest: Digest, source: str) -> Descriptor | None:
        """Refuse: nothing is pushed to a cache."""
        del digest, source
        raise self._context.refusal()

    def delete(self, digest: Digest) -> None:
        """Refuse: what is cached goes by itself."""
        del digest
        raise self._context.refusal()

    def renew(self, descriptor: Descriptor) -> None:
        """Count what is here as used."""
        context = self._context
        context.lifetimes.touch(
            context.local.name, "blob", descriptor.digest, descriptor.size
        )

    def _open(self, descriptor: Descriptor, offset: int) -> BinaryIO:
        counters, size = self._context.counters.blobs, descriptor.size - offset
        try:
            reader = self._local.open(descriptor, offset)
        except BlobUnknown:
            reader = self._download(descriptor, offset)
            counters.missed(size)
            return reader
        counters.hit(size)
        self.renew(descriptor)
        return reader

    def _sent_by_others(self, descriptor: Descriptor) -> None:
        self._context.counters.blobs.hit(0)
        self.renew(descriptor)

    def _download(self, descriptor: Descriptor, offset: int) -> BinaryIO:
        try:
            self._context.check_online()
            return self._context.downloads.open(self._source, descriptor, offset)
        except RegistryError:
            self._known.discard(descriptor.digest)
            self._context.counters.blobs.refused()
            raise

    def _stat_remote(self, digest: Digest) -> Descriptor:
        """Ask the upstream, once for all who want to know."""
        context = self._context
        running = context.downloads.size_of(digest, context.local.name)
        if running is not None:
            return Missing(OCTET_STREAM, digest, running)
        context.check_online()
        lease = Lease.take(
            context.lock(key_of("blob", context.local.name, digest)), FETCH
        )
        try:
            known = self._known.get(digest)
            if known is None or time.monotonic() - known[0] > _TRUST:
                size = within(FETCH, lambda: context.remote.stat_blob(digest))
                self._known.set(digest, (time.monotonic(), size))
            else:
                size = known[1]
            found = self._find(digest)
        except NotThere:
            raise BlobUnknown({"digest": digest}) from None
        finally:
            if lease is not None:
                lease.release()
        return found or Missing(OCTET_STREAM, digest, size)

    def _find(self, digest: Digest) -> Descriptor | None:
        """Return what is here, linking what another repository has.

        The upstream has said before that this repository may have it.
        """
        with suppress(BlobUnknown):
            descriptor = self._local.stat(digest)
            self._local.open(descriptor).close()
            return descriptor
        with self._context.lifetimes.hold(digest if digest.canonical else None):
            for holder in self._context.holders(digest, _HOLDERS):
                with suppress(BlobUnknown):
                    mounted = self._local.mount(digest, holder)
                    if mounted is not None:
                        self._local.open(mounted).close()
                        self.renew(mounted)
                        return mounted
        return None
