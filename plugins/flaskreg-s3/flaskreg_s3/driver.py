"""The driver: distribution's layout in a bucket, a key for each path."""

from __future__ import annotations

import io
import os
import threading
import time
import uuid
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import Executor
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import BinaryIO
from typing import cast

from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import StorageFull
from flaskreg.driver import check_path
from flaskreg_s3.bucket import Bucket
from flaskreg_s3.bucket import split
from flaskreg_s3.documents import Upload
from flaskreg_s3.failures import S3Error
from flaskreg_s3.lock import PATIENCE
from flaskreg_s3.lock import LockHeld
from flaskreg_s3.lock import WriterLock
from flaskreg_s3.parameters import Parameters
from flaskreg_s3.pending import Found
from flaskreg_s3.pending import find_content
from flaskreg_s3.pending import find_object
from flaskreg_s3.pending import find_upload
from flaskreg_s3.reader import ObjectReader
from flaskreg_s3.shared import Shared
from flaskreg_s3.tree import walk_tree
from flaskreg_s3.writer import S3Writer


#: for how long a URL that clients are sent to is good, in seconds.
REDIRECT_SECONDS = 20 * 60

#: threads of a process in which parts travel, of all its uploads and copies.
_THREADS = 32
_STEP = 0.05
#: the name of what an upload session has received, in distribution's layout.
_UPLOADED = "data"
#: the header that says who wrote an object that nobody else may write.
_WRITER = "x-amz-meta-writer"


class S3Driver(StorageDriver):
    """Keeps content in a bucket.

    :param bucket: the bucket.
    :param parameters: how content is kept in it.
    :param redirects: scheme and host of the URLs that clients are sent to.
    """

    name = "s3aws"
    remote = True

    def __init__(
        self, bucket: Bucket, parameters: Parameters, redirects: tuple[str, str]
    ) -> None:
        self.bucket = bucket
        root = parameters.rootdirectory.rstrip("/")
        self.prefix = f"{root}/".lstrip("/")
        self._parameters = parameters
        self._redirects = redirects
        self._mutex = threading.Lock()
        #: the writers of this process that are open, by path.
        self._writers: dict[str, S3Writer | None] = {}
        self._threads: tuple[int, Executor | None] = (0, None)
        self._contents: Shared[bytes] = Shared()
        self._names: Shared[Sequence[str]] = Shared()

    def get_content(self, path: str) -> bytes:
        """Return all of a small object."""
        key = self.key(path)
        held = self._held(path)
        if held is not None:
            return held
        try:
            return self._contents.ask(key, lambda: self.bucket.read(key))
        except S3Error as error:
            raise _translated(error, path) from error

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Write an object, which is durable when S3 says so."""
        del durable
        key = self.key(path)
        try:
            self.bucket.put(key, content)
        except S3Error as error:
            raise _translated(error, path) from error

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open an object for reading."""
        key = self.key(path)
        if offset < 0:
            raise InvalidOffset(path)
        held = self._held(path)
        if held is not None:
            stream = io.BytesIO(held)
            stream.seek(offset)
            return stream
        try:
            # Typed as one; a raw stream has all that is read of it.
            return cast(BinaryIO, ObjectReader(self.bucket, path, key, offset))
        except S3Error as error:
            raise _translated(error, path) from error

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Take the path in this process, then in all, and see what is there."""
        key = self.key(path)
        return self._open_writer(path, key, key, append_at)

    def direct_writer(self, path: str, destination: str) -> FileWriter | None:
        """Open a writer whose upload gathers at its destination: no copy is made."""
        return self._open_writer(path, self.key(path), self.key(destination), 0)

    def stat(self, path: str) -> FileInfo:
        """Return what is at a path; the root is asked for without listing anything."""
        if path == "/":
            self.bucket.check()
            return FileInfo(path, 0, is_dir=True)
        key = self.key(path)
        held = self._held(path)
        if held is not None:
            return FileInfo(path, len(held), is_dir=False)
        found = find_object(self.bucket, key)
        if found is None and self._is_directory(key):
            return FileInfo(path, 0, is_dir=True)
        found = found or find_upload(self.bucket, key)
        if found is None:
            raise PathNotFound(path)
        return FileInfo(
            path,
            found.size,
            is_dir=False,
            modified=found.modified,
            committed=found.upload is None,
        )

    def list(self, path: str) -> list[str]:
        """Return the names below a directory, as far as anything is committed there."""
        prefix = self._below(path)
        found = self._names.ask(prefix, lambda: self._list(prefix))
        if not found and path != "/":
            raise PathNotFound(path)
        return [*found]

    def walk(self, path: str) -> Iterator[FileInfo]:
        """Yield all below a directory from one flat listing of it."""
        prefix = self._below(path)
        objects = self.bucket.iter_objects(prefix)
        empty = True
        for info in walk_tree("" if path == "/" else path, objects, prefix):
            empty = False
            yield info
        if empty and path != "/":
            raise PathNotFound(path)

    def move(self, source: str, destination: str) -> None:
        """Write held content where it belongs, or copy an object on the server."""
        origin, target = self.key(source), self.key(destination)
        writer = self._writers.get(source)
        try:
            if writer and writer.move(target):
                return
            headers = self.bucket.find(origin)
            if headers is None:
                raise PathNotFound(source)
            if origin != target:
                self._copy(origin, target, int(headers["content-length"]))
                self.bucket.delete(origin)
        except S3Error as error:
            raise _translated(error, source) from error

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Do one after the other; at an exclusive path S3 writes if nothing is there.

        A server that has no such condition is asked before, which leaves a moment.
        """
        for path in (*sum(moves, ()), *(path for path, _ in contents)):
            check_path(path)
        for source, destination in moves:
            self.move(source, destination)
        for path, content in contents:
            if path in exclusive:
                self._put_exclusively(path, content)
            else:
                self.put_content(path, content)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete an object or all below a directory, and the uploads that wait there.

        A lone object is deleted without listing its siblings.
        """
        del durable
        key = self.key(path)
        found = False
        for page in self.bucket.iter_pages(f"{key}/", flat=True):
            keys = [listed.key for listed in page.objects]
            if keys:
                self.bucket.delete_many(keys)
                self._forget_locks(keys)
                self._drop_directories(key, keys)
                found = True
        if not found and self.bucket.find(key) is not None:
            self.bucket.delete(key)
            found = True
        if not self._is_settled(path):
            for upload in self._uploads_at_and_below(key):
                self.bucket.abort(upload.key, upload.id)
                found = True
        if not found:
            raise PathNotFound(path)

    def drop_unfinished(self, directory: str, before: datetime) -> int:
        """Abort the uploads of writers and copies that a killed process left."""
        # All are read before any is aborted: a listing is not to change below itself.
        found = [
            upload
            for upload in self.bucket.iter_uploads(self._below(directory))
            if upload.initiated is not None and upload.initiated < before
        ]
        for upload in found:
            self.bucket.abort(upload.key, upload.id)
        return len(found)

    def redirect(self, path: str, method: str) -> str | None:
        """Return a signed URL of an object, at the public endpoint if there is one."""
        if method not in ("GET", "HEAD"):
            return None
        scheme, host = self._redirects
        target = self.bucket.requests.presign(
            method, host, self.key(path), REDIRECT_SECONDS
        )
        return f"{scheme}://{host}{target}"

    def close(self) -> None:
        """Close the connections and end the threads."""
        pid, executor = self._threads
        if executor is not None and pid == os.getpid():
            executor.shutdown()
        self._threads = (0, None)
        self.bucket.close()

    def object_key(self, path: str) -> str:
        """Return the key of a path, as the middleware ``cloudfront`` wants it."""
        return self.key(path)

    def key(self, path: str) -> str:
        """Return the key of a path.

        :raises InvalidPath: nothing can be there.
        """
        return self.prefix + check_path(path)[1:]

    def _open_writer(
        self, path: str, key: str, target: str, append_at: int | None
    ) -> FileWriter:
        self._reserve(path)
        lock = WriterLock(self.bucket, key)
        try:
            lock.acquire()
            found = self._to_go_on_with(path, key, append_at)
            if found is not None:
                target = key
            made = S3Writer(
                self.bucket,
                path,
                key,
                target,
                lock,
                found,
                part_size=self._parameters.chunksize,
                executor=self._executor,
                on_close=lambda: self._leave(path),
            )
        except LockHeld:
            self._leave(path)
            raise InvalidOffset(path) from None
        except BaseException:
            self._leave(path)
            lock.release()
            raise
        self._writers[path] = made
        return made

    def _below(self, path: str) -> str:
        return self.prefix if path == "/" else f"{self.key(path)}/"

    def _list(self, prefix: str) -> Sequence[str]:
        names: set[str] = set()
        for page in self.bucket.iter_pages(prefix, flat=False):
            names.update(listed.key[len(prefix) :] for listed in page.objects)
            names.update(each[len(prefix) : -1] for each in page.prefixes)
        return [name for name in names if name and "~" not in name]

    def _is_directory(self, key: str) -> bool:
        page = self.bucket.page(f"{key}/", flat=True, most=1)
        return bool(page.objects or page.prefixes)

    def _put_exclusively(self, path: str, content: bytes) -> None:
        key, token = self.key(path), uuid.uuid4().hex
        try:
            if self.bucket.find(key) is not None:
                raise PathExists(path)
            self.bucket.put(key, content, {"if-none-match": "*", _WRITER: token})
        except S3Error as error:
            if not error.taken:
                raise _translated(error, path) from error
            # An attempt of ours may have written it, whose answer was lost.
            if (self.bucket.find(key) or {}).get(_WRITER) != token:
                raise PathExists(path) from None

    def _copy(self, source: str, target: str, size: int) -> None:
        """Copy an object, a large one in parts that are copied at the same time."""
        parameters = self._parameters
        if size <= parameters.multipartcopythresholdsize:
            self.bucket.copy(source, target)
            return
        upload = self.bucket.create_upload(target)
        spans = list(enumerate(split(size, parameters.multipartcopychunksize), 1))
        width = min(parameters.multipartcopymaxconcurrency, len(spans), _THREADS)
        try:
            with ThreadPoolExecutor(width, "flaskreg-s3-copy") as pool:
                copied = pool.map(
                    lambda span: self.bucket.copy_part(
                        source, target, upload, span[0], *span[1]
                    ),
                    spans,
                )
            self.bucket.complete(target, upload, list(copied))
        except BaseException:
            self.bucket.abort(target, upload)
            raise

    def _to_go_on_with(
        self, path: str, key: str, append_at: int | None
    ) -> Found | None:
        """Return what is at a key, when that is what the writer wants.

        :raises InvalidOffset: it has another size.
        :raises PathNotFound: nothing is there, and something is wanted.
        """
        found = find_content(self.bucket, key)
        if append_at is None:
            if found is not None:
                self._drop(key)
            return None
        if found is None and append_at != 0:
            raise PathNotFound(path)
        if found is not None and found.size != append_at:
            raise InvalidOffset(path, found.size)
        return found

    def _drop(self, key: str) -> None:
        for upload in self.bucket.iter_uploads(key):
            if upload.key == key:
                self.bucket.abort(key, upload.id)
        self.bucket.delete(key)

    def _reserve(self, path: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._mutex:
                if path not in self._writers:
                    self._writers[path] = None
                    return
            if time.monotonic() > deadline:
                raise InvalidOffset(path)
            time.sleep(_STEP)

    def _leave(self, path: str) -> None:
        with self._mutex:
            self._writers.pop(path, None)

    def _held(self, path: str) -> bytes | None:
        writer = self._writers.get(path)
        return writer.held if writer else None

    def _is_settled(self, path: str) -> bool:
        """Whether a committed writer of ours is below *path*: nothing waits there."""
        with self._mutex:
            return any(
                writer is not None
                and writer.committed
                and writer.alone
                and not writer.lock.stolen
                and os.path.dirname(writer.path) == path
                for writer in self._writers.values()
            )

    def _uploads_at_and_below(self, key: str) -> Iterator[Upload]:
        found = list(self.bucket.iter_uploads(key))
        if self.bucket.requests.server.startswith("MinIO"):
            # It tells the uploads of one key and those of no prefix.
            found += self.bucket.iter_uploads(f"{key}/{_UPLOADED}")
        for upload in found:
            if upload.key == key or upload.key.startswith(f"{key}/"):
                yield upload

    def _drop_directories(self, key: str, keys: Sequence[str]) -> None:
        """Delete the empty directories at and below *key*, which SeaweedFS lists.

        Those above stay: somebody may be about to write into them.
        """
        if not self.bucket.requests.server.startswith("SeaweedFS"):
            return
        depth = key.count("/") + 1
        emptied = {
            "".join(f"{part}/" for part in each.split("/")[:end])
            for each in keys
            for end in range(depth, each.count("/") + 1)
        }
        for directory in sorted(emptied, key=len, reverse=True):
            self.bucket.delete(directory)

    def _forget_locks(self, keys: Sequence[str]) -> None:
        with self._mutex:
            for writer in self._writers.values():
                if writer is not None and writer.lock.key in keys:
                    writer.lock.forget()

    def _executor(self) -> Executor:
        """Return the threads of this process; a forked one makes its own."""
        with self._mutex:
            pid, executor = self._threads
            if executor is None or pid != os.getpid():
                executor = ThreadPoolExecutor(_THREADS, "flaskreg-s3")
                self._threads = (os.getpid(), executor)
            return executor


def _translated(error: S3Error, path: str) -> Exception:
    if error.missing:
        return PathNotFound(path)
    if error.status == 507 or error.code == "XMinioStorageFull":
        return StorageFull(path, error.code)
    return error
