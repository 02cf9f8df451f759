"""The descriptor cache ``redis``: shared by all registries that use one Redis."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from flaskreg import hookimpl
from flaskreg.cache import CacheFactory
from flaskreg.cache import DescriptorCache
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config.redis import Redis
from flaskreg_redis.cache import RedisCache as RedisCache
from flaskreg_redis.clients import make_connector


#: keys of the section that this client has no use for.
WITHOUT_EFFECT = (
    "connmaxidletime",
    "connmaxlifetime",
    "contexttimeoutenabled",
    "maxidleconns",
    "maxredirects",
    "minidleconns",
    "poolfifo",
    "unstableresp3",
)

_SIZE = "blobdescriptorsize"

_log = logging.getLogger("flaskreg")


def make_redis_cache(parameters: Mapping[str, Any]) -> DescriptorCache:
    """Make the cache from the keys of the section ``redis``.

    :param parameters: those keys, and a ``blobdescriptorsize`` that is not heeded:
        Redis itself is told how much it may remember.
    :raises ConfigError: a key is unknown or wrong, or there is no address.
    """
    given = {key: value for key, value in parameters.items() if key != _SIZE}
    for key in given.keys() - Redis.model_fields.keys():
        known = [f"redis.{each}" for each in Redis.model_fields]
        raise ConfigError.unknown(f"redis.{key}", known)
    try:
        settings = Redis(**given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(["redis", *map(str, first["loc"])])
        raise ConfigError(f"{name}: {first['msg']}") from None
    if not settings.addrs:
        raise ConfigError(
            "redis.addrs: storage.cache.blobdescriptor is redis, and no server is named"
        )
    for key in sorted(settings.model_fields_set & set(WITHOUT_EFFECT)):
        _log.warning("redis.%s: accepted, but has no effect", key)
    return RedisCache(make_connector(settings), ", ".join(settings.addrs))


@hookimpl
def flaskreg_register_caches() -> Mapping[str, CacheFactory]:
    """Offer the cache under its name."""
    return {"redis": make_redis_cache}


@hookimpl
def flaskreg_make_cache(settings: Settings) -> DescriptorCache | None:
    """Make the cache when it is the one that is configured: it has its own section."""
    cache = settings.storage.cache
    if cache.blobdescriptor != "redis":
        return None
    for key in cache.options:
        raise ConfigError.unknown(f"storage.cache.options.{key}", ())
    if _SIZE in cache.model_fields_set:
        _log.warning("storage.cache.%s: has no effect on the cache redis", _SIZE)
    redis = settings.redis
    return make_redis_cache(
        {key: getattr(redis, key) for key in redis.model_fields_set}
    )
