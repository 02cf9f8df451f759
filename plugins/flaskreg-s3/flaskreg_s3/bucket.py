"""The operations of S3 on one bucket that the driver is made of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg_s3.documents import Listed
from flaskreg_s3.documents import Page
from flaskreg_s3.documents import Part
from flaskreg_s3.documents import Upload
from flaskreg_s3.documents import completion
from flaskreg_s3.documents import deletion
from flaskreg_s3.documents import parse
from flaskreg_s3.documents import parse_page
from flaskreg_s3.documents import parse_parts
from flaskreg_s3.documents import parse_uploads
from flaskreg_s3.documents import text_of
from flaskreg_s3.failures import S3Error
from flaskreg_s3.parameters import Parameters
from flaskreg_s3.requests import Body
from flaskreg_s3.requests import Requests
from flaskreg_s3.signing import encode
from flaskreg_s3.wire import Answer


#: the most keys of one listing page and of one bulk delete.
PAGE = 1000


class Bucket:
    """A bucket, by keys.

    :param name: of the bucket.
    :param requests: how it is reached.
    :param written: the headers that every object is made with.
    """

    def __init__(
        self, name: str, requests: Requests, written: Mapping[str, str]
    ) -> None:
        self.requests = requests
        self._name = name
        self._written = written

    def check(self) -> None:
        """See that the bucket is there and may be used, which lists nothing.

        :raises S3Error: it is not.
        """
        self.requests.send("HEAD").drain()

    def find(self, key: str) -> Mapping[str, str] | None:
        """Return the headers of an object, or ``None`` where there is none."""
        try:
            answer = self.requests.send("HEAD", key)
        except S3Error as error:
            if error.missing:
                return None
            raise
        answer.drain()
        return answer.headers

    def get(self, key: str, headers: Mapping[str, str]) -> Answer:
        """Open an object, or a range of it, for reading.

        :param headers: a range, or conditions.
        """
        return self.requests.send("GET", key, headers=headers)

    def read(self, key: str) -> bytes:
        """Return all of a small object.

        :raises S3Error: there is none.
        """
        return self.requests.call("GET", key)[1]

    def put(
        self, key: str, content: Body, conditions: Mapping[str, str] | None = None
    ) -> str:
        """Write an object, and return its tag.

        :param conditions: such as ``if-none-match``; a server that says that it has
            none writes without them.
        """
        headers = {**self._written, **(conditions or {})}
        try:
            told, _ = self.requests.call("PUT", key, headers=headers, body=content)
        except S3Error as error:
            if not conditions or error.status != 501:
                raise
            return self.put(key, content)
        return told.get("etag", "")

    def delete(self, key: str) -> None:
        """Delete an object; nothing happens when there is none."""
        self.requests.call("DELETE", key)

    def delete_many(self, keys: Sequence[str]) -> None:
        """Delete objects, at most :data:`PAGE` of them.

        :raises S3Error: one of them could not be deleted.
        """
        if len(keys) == 1:
            self.delete(keys[0])
            return
        document = deletion(keys)
        md5 = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest())
        headers = {"content-md5": md5.decode(), "content-type": "application/xml"}
        _, content = self.requests.call(
            "POST", query={"delete": ""}, headers=headers, body=document
        )
        failed = parse(keys[0], content).find("{*}Error")
        if failed is not None:
            key, code = text_of(failed, "Key"), text_of(failed, "Code")
            raise S3Error(key, 0, code, text_of(failed, "Message"))

    def copy(self, source: str, target: str) -> None:
        """Copy an object of at most 5 GiB on the server."""
        headers = {**self._written, "x-amz-copy-source": self._source(source)}
        self.requests.call("PUT", target, headers=headers)

    def page(self, prefix: str, *, flat: bool, token: str = "", most: int = 0) -> Page:
        """Return one page of the objects whose keys begin with *prefix*.

        :param flat: whether keys are told whole, and not cut at the next ``/``.
        :param token: of the page before.
        :param most: how many; 0 for as many as there can be.
        """
        query = {"list-type": "2", "prefix": prefix}
        if not flat:
            query["delimiter"] = "/"
        if token:
            query["continuation-token"] = token
        if most:
            query["max-keys"] = str(most)
        return parse_page(prefix, self.requests.call("GET", query=query)[1])

    def iter_pages(self, prefix: str, *, flat: bool) -> Iterator[Page]:
        """Yield all pages."""
        token = ""
        while True:
            page = self.page(prefix, flat=flat, token=token)
            yield page
            token = page.token
            if not token:
                return

    def iter_objects(self, prefix: str) -> Iterator[Listed]:
        """Yield all objects whose keys begin with *prefix*, in order of keys."""
        for page in self.iter_pages(prefix, flat=True):
            yield from page.objects

    def create_upload(self, key: str) -> str:
        """Begin a multipart upload, and return its id."""
        _, content = self.requests.call(
            "POST", key, query={"uploads": ""}, headers=self._written
        )
        found = text_of(parse(key, content), "UploadId")
        if not found:
            raise S3Error(key, 0, "an upload without an id")
        return found

    def upload_part(self, key: str, upload: str, number: int, content: Body) -> Part:
        """Write a part of an upload; one of this number is replaced."""
        query = {"partNumber": str(number), "uploadId": upload}
        headers, _ = self.requests.call("PUT", key, query=query, body=content)
        return Part(number, headers.get("etag", ""), len(content))

    def copy_part(
        self, source: str, key: str, upload: str, number: int, first: int, end: int
    ) -> Part:
        """Let a range of an object become a part of an upload, on the server.

        :param first: the first byte.
        :param end: the byte after the last one.
        """
        headers = {
            "x-amz-copy-source": self._source(source),
            "x-amz-copy-source-range": f"bytes={first}-{end - 1}",
        }
        query = {"partNumber": str(number), "uploadId": upload}
        _, content = self.requests.call("PUT", key, query=query, headers=headers)
        return Part(number, text_of(parse(key, content), "ETag"), end - first)

    def complete(self, key: str, upload: str, parts: Sequence[Part]) -> None:
        """Make an object of the parts of an upload.

        Who is told that the upload is not there may have completed it in an attempt
        whose answer was lost: then the object has the size of the parts.
        """
        try:
            self.requests.call(
                "POST",
                key,
                query={"uploadId": upload},
                headers={"content-type": "application/xml"},
                body=completion(parts),
            )
        except S3Error as error:
            found = self.find(key) if error.missing else None
            size = str(sum(part.size for part in parts))
            if found is None or found.get("content-length") != size:
                raise

    def abort(self, key: str, upload: str) -> None:
        """Drop an upload with its parts; nothing happens when there is none."""
        try:
            self.requests.call("DELETE", key, query={"uploadId": upload})
        except S3Error as error:
            if not error.missing:
                raise

    def iter_uploads(self, prefix: str) -> Iterator[Upload]:
        """Yield the pending uploads whose keys begin with *prefix*."""
        query = {"uploads": "", "prefix": prefix}
        while True:
            _, content = self.requests.call("GET", query=query)
            found, following = parse_uploads(prefix, content)
            yield from found
            if not following:
                return
            query |= following

    def parts(self, key: str, upload: str) -> list[Part]:
        """Return the parts that an upload has, in order.

        SeaweedFS tells a part twice that was written twice.

        :raises S3Error: there is no such upload.
        """
        query = {"uploadId": upload}
        found: dict[int, Part] = {}
        while True:
            _, content = self.requests.call("GET", key, query=query)
            parts, marker = parse_parts(key, content)
            found.update((part.number, part) for part in parts)
            if not marker:
                return [found[number] for number in sorted(found)]
            query["part-number-marker"] = marker

    def close(self) -> None:
        """Close the connections."""
        self.requests.close()

    def _source(self, key: str) -> str:
        return encode(f"/{self._name}/{key}", safe="/")


def written_headers(parameters: Parameters) -> Mapping[str, str]:
    """Return what every object is made with: type, access, encryption and class."""
    headers = {
        "content-type": "application/octet-stream",
        "x-amz-acl": parameters.objectacl,
    }
    if parameters.encrypt:
        headers["x-amz-server-side-encryption"] = (
            "aws:kms" if parameters.keyid else "AES256"
        )
    if parameters.keyid:
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = parameters.keyid
    if parameters.storageclass is not None:
        headers["x-amz-storage-class"] = parameters.storageclass
    return headers


def split(size: int, piece: int) -> Iterable[tuple[int, int]]:
    """Return the ranges in which *size* bytes are copied, each first byte and end.

    :param piece: how many bytes at a time; more where there would be too many pieces.
    """
    piece = max(piece, -(-size // 10_000))
    return [(at, min(at + piece, size)) for at in range(0, size, piece)]
