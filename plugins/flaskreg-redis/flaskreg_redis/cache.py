"""The cache, with the keys that CNCF distribution writes and reads.

::

    blobs::<digest>                         hash   digest, size, mediatype
    repository::<name>::blobs               set    digests
    repository::<name>::blobs::<digest>     hash   mediatype

Nothing expires by itself: the server is to be run with a bound on its memory and the
policy ``allkeys-lru``. Each of the keys may vanish alone; what is left is a miss.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ClusterDownError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from flaskreg.breaker import Breaker
from flaskreg.cache import DescriptorCache
from flaskreg.cache import check_descriptor
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import DigestInvalid
from flaskreg_redis.clients import Connector


#: digits of the largest size that is believed.
_LONGEST_SIZE = 18

#: what says that there is no server to ask, for now.
_GONE = (
    RedisConnectionError,
    RedisTimeoutError,
    ClusterDownError,
    RedisClusterException,
    OSError,
)


class RedisCache(DescriptorCache):
    """Remembers descriptors in Redis.

    Each method is one round trip. A server that does not answer in time is left alone
    for a while, in which everything is a miss.

    :param connect: makes the client, when it is first used in a process.
    :param place: where the server is, for the log.
    """

    shared = True

    def __init__(self, connect: Connector, place: str) -> None:
        self._connect = connect
        self._breaker = Breaker(f"redis at {place}")
        self._lock = threading.Lock()
        self._client: Any = None

    def stat(self, digest: Digest, repository: str | None = None) -> Descriptor | None:
        """Return what is remembered; a repository's own media type goes first."""

        def read(client: Any) -> Sequence[Any]:
            pipeline = client.pipeline(transaction=False)
            pipeline.hmget(_blob(digest), "digest", "size", "mediatype")
            if repository:
                pipeline.sismember(_members(repository), digest)
                pipeline.hget(_member(repository, digest), "mediatype")
            answers: Sequence[Any] = pipeline.execute()
            return answers

        answers = self._use(read)
        if not answers:
            return None
        if not repository:
            return _descriptor(*answers[0])
        (target, size, _), is_member, media_type = answers
        return _descriptor(target, size, media_type) if is_member else None

    def set(
        self, digest: Digest, descriptor: Descriptor, repository: str | None = None
    ) -> None:
        """Remember *descriptor*; the media type of a repository is its own."""
        check_descriptor(descriptor)
        media_type = descriptor.media_type
        known = {"digest": str(descriptor.digest), "size": descriptor.size}

        def write(client: Any) -> None:
            pipeline = client.pipeline(transaction=False)
            if repository:
                pipeline.hset(_blob(digest), mapping=known)
                pipeline.hsetnx(_blob(digest), "mediatype", media_type)
                pipeline.hset(_member(repository, digest), "mediatype", media_type)
                pipeline.sadd(_members(repository), digest)
            else:
                whole = known | {"mediatype": media_type}
                pipeline.hset(_blob(digest), mapping=whole)
            pipeline.execute()

        self._use(write)

    def clear(self, digest: Digest, repository: str | None = None) -> None:
        """Forget a repository's descriptor and the registry's.

        Without a repository all of them miss the registry's part. When that is set
        again, a repository that had it knows it again, as in distribution: its link
        in the storage is what decides.
        """

        def write(client: Any) -> None:
            pipeline = client.pipeline(transaction=False)
            if repository:
                pipeline.srem(_members(repository), digest)
                pipeline.delete(_member(repository, digest))
            pipeline.delete(_blob(digest))
            pipeline.execute()

        self._use(write)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _use(self, call: Callable[[Any], Any]) -> Any:
        """Call with a client; return ``None`` when there is no answer to be had."""
        if not self._breaker.allows():
            return None
        try:
            answer = call(self._made())
        except _GONE as error:
            self._breaker.failed(error)
            return None
        except RedisError:
            # It answered that it cannot: no memory, a key of another kind.
            self._breaker.succeeded()
            return None
        self._breaker.succeeded()
        return answer

    def _made(self) -> Any:
        client = self._client
        if client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._connect()
                client = self._client
        return client


def _blob(digest: Digest) -> str:
    return f"blobs::{digest}"


def _members(repository: str) -> str:
    return f"repository::{repository}::blobs"


def _member(repository: str, digest: Digest) -> str:
    return f"repository::{repository}::blobs::{digest}"


def _descriptor(
    target: bytes | None, size: bytes | None, media_type: bytes | None
) -> Descriptor | None:
    """Return the descriptor in a hash; ``None`` when a part of it is missing."""
    if not target or not size or not media_type:
        return None
    if not size.isdigit() or len(size) > _LONGEST_SIZE:
        return None
    try:
        digest = parse_digest(target.decode("ascii"))
        return Descriptor(media_type.decode("utf-8"), digest, int(size))
    except (DigestInvalid, UnicodeDecodeError):
        return None
