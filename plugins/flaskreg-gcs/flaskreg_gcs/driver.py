"""The driver: distribution's layout in a bucket, an object for each path."""

from __future__ import annotations

import io
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from typing import BinaryIO
from typing import cast

from google.api_core.exceptions import NotFound
from google.api_core.exceptions import PreconditionFailed

from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import check_path
from flaskreg_gcs.lock import SUFFIX
from flaskreg_gcs.lock import WriterLock
from flaskreg_gcs.parameters import Parameters
from flaskreg_gcs.reader import ObjectReader
from flaskreg_gcs.service import GcsFailure
from flaskreg_gcs.service import Service
from flaskreg_gcs.sessions import CONTENT
from flaskreg_gcs.sessions import PARKED
from flaskreg_gcs.sessions import Parked
from flaskreg_gcs.sessions import is_parked
from flaskreg_gcs.sessions import read_parked
from flaskreg_gcs.sessions import size_of
from flaskreg_gcs.writer import GcsWriter


#: for how long a URL that clients are sent to is good, in seconds.
REDIRECT_SECONDS = 20 * 60

_BUFFER = 1 << 20
_DELETING = 16


class GcsDriver(StorageDriver):
    """Keeps content in a bucket.

    :param service: the bucket.
    :param parameters: how content is kept in it.
    """

    name = "gcs"

    def __init__(self, service: Service, parameters: Parameters) -> None:
        self._service = service
        self._parameters = parameters
        self._root = f"{parameters.rootdirectory}/" if parameters.rootdirectory else ""

    def get_content(self, path: str) -> bytes:
        """Return all of an object."""
        with self.reader(path) as stream:
            return stream.read()

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Put an object, which is durable in any case."""
        del durable
        self._put(path, content)

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Do one after the other; of those who make an object, one does."""
        for source, destination in moves:
            self.move(source, destination)
        for path, content in contents:
            if path not in exclusive:
                self._put(path, content)
                continue
            try:
                self._put(path, content, if_generation_match=0)
            except PreconditionFailed:
                raise PathExists(path) from None

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open an object for one stream."""
        if offset < 0:
            raise InvalidOffset(path)
        key = self._key(check_path(path))
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        url = self._service.media_url(key)
        answer = self._service.send(path, "GET", url, headers=headers, stream=True)
        if answer.status_code == 416:
            answer.close()
            self._committed(path)
            return io.BytesIO()
        if answer.status_code == 404:
            told = answer.text
            if "bucket does not exist" in told:
                raise GcsFailure(path, "there is no such bucket")
            raise PathNotFound(path)
        if answer.headers.get("Content-Type") == PARKED:
            answer.close()
            raise PathNotFound(path)
        if answer.status_code != (206 if offset else 200):
            answer.close()
            raise GcsFailure(path, f"status {answer.status_code}")
        return io.BufferedReader(cast(io.RawIOBase, ObjectReader(answer)), _BUFFER)

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Take the lock of a path, and what an earlier writer left there."""
        key = self._key(check_path(path))
        if append_at is not None:
            # Who is wrong about the size need not wait for anybody.
            self._measure(path, key, append_at)
        lock = WriterLock(self._service, path, key)
        lock.acquire()
        try:
            found = Parked("", 0, b"")
            again = b""
            if append_at is not None:
                found, again = self._left(path, key, append_at)
            writer = GcsWriter(
                self._service, path, key, lock, found, self._parameters.chunksize
            )
            if again:
                writer.size = len(again)
                writer.absorb(again)
        except BaseException:
            lock.release()
            raise
        return writer

    def stat(self, path: str) -> FileInfo:
        """Return what is at *path*: an object, or the beginning of the keys of some."""
        if path == "/":
            self._any("/", self._root)
            return FileInfo(path, 0, is_dir=True)
        key = self._key(check_path(path))
        with self._service.turn(path) as bucket:
            blob = bucket.get_blob(key, retry=self._service.retry)
        if blob is not None:
            return _info(path, blob)
        if not self._any(path, f"{key}/"):
            raise PathNotFound(path)
        return FileInfo(path, 0, is_dir=True)

    def list(self, path: str) -> list[str]:
        """Return the names of the direct children of a directory."""
        return [info.path.rpartition("/")[2] for info in self._children(path)]

    def walk(self, path: str) -> Iterator[FileInfo]:
        """Yield all below *path*, with one listing for each directory."""
        for info in sorted(self._children(path), key=lambda each: each.path):
            yield info
            if info.is_dir:
                with suppress(PathNotFound):
                    yield from self.walk(info.path)

    def move(self, source: str, destination: str) -> None:
        """Copy within the service, and delete the source."""
        check_path(destination)
        generation = int(self._committed(source).generation)
        if source == destination:
            return
        with self._service.turn(source) as bucket:
            original = bucket.blob(self._key(source))
            copy = bucket.blob(self._key(destination))
            copy.content_type = CONTENT
            token = None
            while True:
                token, _, _ = copy.rewrite(
                    original,
                    token,
                    if_source_generation_match=generation,
                    retry=self._service.retry,
                )
                if token is None:
                    break
            with suppress(NotFound):
                original.delete(retry=self._service.retry)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete an object, and all objects below it."""
        del durable
        key = self._key(check_path(path))
        with self._service.turn(path) as bucket:
            names = [
                blob.name
                for blob in bucket.list_blobs(
                    prefix=f"{key}/", retry=self._service.retry
                )
            ]
        found = self._delete(path, key)
        self._delete(path, key + SUFFIX)
        if len(names) == 1:
            found |= self._delete(path, names[0])
        elif names:
            with ThreadPoolExecutor(min(_DELETING, len(names))) as pool:
                done = list(pool.map(lambda name: self._delete(path, name), names))
            found |= any(done)
        if not found:
            raise PathNotFound(path)

    def redirect(self, path: str, method: str) -> str | None:
        """Return a URL that is signed for one method."""
        key = self._key(check_path(path))
        return self._service.sign(path, key, method, REDIRECT_SECONDS)

    def object_key(self, path: str) -> str | None:
        """Return the key of the object."""
        return self._key(path)

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    def _key(self, path: str) -> str:
        return self._root + path.lstrip("/")

    def _put(self, path: str, content: bytes, **condition: Any) -> None:
        key = self._key(check_path(path))
        failed: PreconditionFailed | None = None
        with self._service.turn(path, makes=True) as bucket:
            try:
                bucket.blob(key).upload_from_string(
                    content,
                    content_type=CONTENT,
                    retry=self._service.retry,
                    **condition,
                )
            except PreconditionFailed as error:
                failed = error
        if failed is not None:
            raise failed

    def _committed(self, path: str) -> Any:
        """Return what is known of committed content.

        :raises PathNotFound: there is none.
        """
        with self._service.turn(path) as bucket:
            blob = bucket.get_blob(
                self._key(check_path(path)), retry=self._service.retry
            )
        if blob is None or is_parked(blob):
            self._missing(path)
        return blob

    def _missing(self, path: str) -> None:
        """Raise the error for a path, or for a bucket that is not there."""
        self._any("/", self._key(path))
        raise PathNotFound(path)

    def _measure(self, path: str, key: str, append_at: int) -> Any:
        """Return the object that ends at an offset, or ``None`` for one that is not.

        :raises InvalidOffset: it ends elsewhere.
        :raises PathNotFound: there is none, and the offset is not 0.
        """
        with self._service.turn(path) as bucket:
            blob = bucket.get_blob(key, retry=self._service.retry)
        if blob is None:
            if append_at != 0:
                self._missing(path)
            return None
        if size_of(blob) != append_at:
            raise InvalidOffset(path, size_of(blob))
        return blob

    def _left(self, path: str, key: str, append_at: int) -> tuple[Parked, bytes]:
        """Return what a writer left, and content that is to be written again."""
        blob = self._measure(path, key, append_at)
        if blob is None:
            return Parked("", 0, b""), b""
        with self._service.turn(path):
            if is_parked(blob):
                return read_parked(blob, self._service.retry), b""
            # A session cannot go on with what is committed. It is so for an upload
            # whose commit had a wrong digest, and seldom else.
            return Parked("", 0, b""), blob.download_as_bytes(retry=self._service.retry)

    def _delete(self, path: str, key: str) -> bool:
        with self._service.turn(path) as bucket:
            try:
                bucket.blob(key).delete(retry=self._service.retry)
            except NotFound:
                return False
        return True

    def _any(self, path: str, prefix: str) -> bool:
        """Whether any key begins with *prefix*; it also tells a bucket apart."""
        with self._service.turn(path, makes=True) as bucket:
            for _ in bucket.list_blobs(
                prefix=prefix, max_results=1, retry=self._service.retry
            ):
                return True
        return False

    def _children(self, path: str) -> Sequence[FileInfo]:
        base = "" if path == "/" else check_path(path)
        prefix = self._key(f"{base}/")
        found: dict[str, FileInfo] = {}
        with self._service.turn(path, makes=True) as bucket:
            listed = bucket.list_blobs(
                prefix=prefix, delimiter="/", retry=self._service.retry
            )
            for blob in listed:
                name = blob.name[len(prefix) :]
                if name and "~" not in name:
                    found[name] = _info(f"{base}/{name}", blob)
            for each in listed.prefixes:
                name = each[len(prefix) :].rstrip("/")
                found.setdefault(name, FileInfo(f"{base}/{name}", 0, is_dir=True))
        if not found and path != "/":
            raise PathNotFound(path)
        return list(found.values())


def _info(path: str, blob: Any) -> FileInfo:
    return FileInfo(path, size_of(blob), is_dir=False, modified=blob.updated)
