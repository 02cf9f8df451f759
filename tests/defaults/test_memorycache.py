"""The caches ``inmemory`` and ``none``: the suite, and what only they promise."""

from __future__ import annotations

import pytest

from flaskreg.config import ConfigError
from flaskreg.defaults.memorycache import DEFAULT_SIZE
from flaskreg.defaults.memorycache import MemoryCache
from flaskreg.defaults.memorycache import NoCache
from flaskreg.defaults.memorycache import flaskreg_register_caches
from flaskreg.testing import DescriptorCacheTests
from flaskreg.testing.caches import make_descriptor


class TestMemoryCache(DescriptorCacheTests):
    """The suite over ``inmemory``."""

    @pytest.fixture
    def cache(self):
        """Return a cache of the default size."""
        return MemoryCache()


class TestSmallMemoryCache(DescriptorCacheTests):
    """A cache that forgets all the time is still never wrong."""

    remembers = False

    @pytest.fixture
    def cache(self):
        """Return a cache of one descriptor."""
        return MemoryCache(1)


class TestNoCache(DescriptorCacheTests):
    """The suite over ``none``."""

    remembers = False

    @pytest.fixture
    def cache(self):
        """Return the cache."""
        return NoCache()


DESCRIPTORS = [make_descriptor(f"content {number}") for number in range(5)]


def test_the_hook_offers_both():
    """They are registered by their names, with distribution's default size."""
    caches = flaskreg_register_caches()
    assert set(caches) == {"inmemory", "none"}
    assert isinstance(caches["none"]({}), NoCache)
    assert caches["inmemory"]({}).size == DEFAULT_SIZE == 10000
    assert caches["inmemory"]({"blobdescriptorsize": 3}).size == 3


@pytest.mark.parametrize("name", ["inmemory", "none"])
@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"blobdescriptorsize": "many"}, "blobdescriptorsize"),
        ({"blobdescriptorsize": True}, "blobdescriptorsize"),
        ({"blobdescriptorsize": None}, "blobdescriptorsize"),
        ({"size": 3}, "storage.cache.options.size"),
    ],
)
def test_a_wrong_parameter_is_refused(name, parameters, named):
    """The error names it where it stands in the configuration."""
    with pytest.raises(ConfigError, match=named):
        flaskreg_register_caches()[name](parameters)


def test_what_was_used_last_stays():
    """To be told counts as being used, to be set too."""
    cache = MemoryCache(3)
    one, two, three, four, five = DESCRIPTORS
    for descriptor in (one, two, three):
        cache.set(descriptor.digest, descriptor)
    assert cache.stat(one.digest) == one
    cache.set(four.digest, four)
    assert cache.stat(two.digest) is None
    cache.set(three.digest, three)
    cache.set(five.digest, five)
    known = [each for each in DESCRIPTORS if cache.stat(each.digest)]
    assert known == [three, four, five]


def test_a_repository_and_the_registry_count_as_two():
    """The bound holds for all that is in memory."""
    cache = MemoryCache(2)
    one, two, *_ = DESCRIPTORS
    cache.set(one.digest, one, "team/app")
    cache.set(two.digest, two, "team/app")
    assert cache.stat(one.digest) is None
    assert cache.stat(one.digest, "team/app") is None
    assert cache.stat(two.digest) == two
    assert cache.stat(two.digest, "team/app") == two


@pytest.mark.parametrize("size", [0, -1])
def test_no_bound(size):
    """A size of 0 or less remembers everything."""
    cache = MemoryCache(size)
    for descriptor in DESCRIPTORS:
        cache.set(descriptor.digest, descriptor)
    assert all(cache.stat(each.digest) == each for each in DESCRIPTORS)


def test_the_registry_keeps_its_own_descriptor():
    """A repository's descriptor does not take the place of the registry's."""
    cache = MemoryCache()
    one = DESCRIPTORS[0]
    mine = make_descriptor("content 0", "application/x-mine")
    cache.set(one.digest, one)
    cache.set(one.digest, mine, "team/app")
    assert cache.stat(one.digest) == one
    assert cache.stat(one.digest, "team/app") == mine
