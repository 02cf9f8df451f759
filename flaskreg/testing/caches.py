"""The suite of descriptor caches."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from flaskreg.cache import DescriptorCache
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.testing.abilities import lacks
from flaskreg.testing.abilities import needs


def make_descriptor(content: str, media_type: str = "application/x-test") -> Descriptor:
    """Return the descriptor of some text."""
    encoded = content.encode()
    return Descriptor(media_type, Digest.of(encoded), len(encoded))


ONE = make_descriptor("one")
TWO = make_descriptor("number two")

#: repository names that are easily confused when keys are put together from them.
NAMES = ("a", "a/b", "b", "team/app", "team/app-2", "blobs")


class DescriptorCacheTests:
    """Everything that the contract of descriptor caches promises.

    Override ``cache`` (empty for each test); ``other_cache`` and ``broken_cache`` when
    there is a backend.
    """

    #: whether all worker processes see one memory; ``other_cache`` is wanted then.
    shared: bool = False
    #: whether anything is remembered at all.
    remembers: bool = True
    #: whether there is a backend that may not answer; ``broken_cache`` is wanted then.
    has_backend: bool = False
    #: whether what is cleared in one repository stays known in the others; not so
    #: where the registry's descriptor is a part of each repository's.
    clears_apart: bool = True

    @pytest.fixture
    def cache(self) -> DescriptorCache:
        """Return an empty cache. Override it."""
        raise NotImplementedError("override the fixture cache")

    @pytest.fixture
    def other_cache(self) -> DescriptorCache | None:
        """Return another cache of the same backend, or ``None`` without one."""
        return None

    @pytest.fixture
    def broken_cache(self) -> DescriptorCache | None:
        """Return a cache whose backend does not answer, or ``None`` without one."""
        return None

    @pytest.fixture
    def memory(self, cache: DescriptorCache) -> DescriptorCache:
        """Return the cache, for tests of what it remembers."""
        return cache

    @pytest.fixture(autouse=True)
    def _closed(self, cache: DescriptorCache) -> Iterator[None]:
        yield
        cache.close()

    # What every cache does

    def test_abilities_are_those_of_the_cache(
        self,
        cache: DescriptorCache,
        other_cache: DescriptorCache | None,
        broken_cache: DescriptorCache | None,
    ) -> None:
        """The suite states what the cache states, and has the fixtures for it."""
        assert cache.shared == self.shared
        assert (other_cache is not None) == self.shared
        assert (broken_cache is not None) == self.has_backend
        for each in (other_cache, broken_cache):
            if each is not None:
                each.close()

    def test_unknown(self, cache: DescriptorCache) -> None:
        """What was never set is not known, anywhere."""
        assert cache.stat(ONE.digest) is None
        assert cache.stat(ONE.digest, "team/app") is None

    def test_a_cache_may_forget_but_never_lies(self, cache: DescriptorCache) -> None:
        """It answers with what was set, or not at all."""
        cache.set(ONE.digest, ONE)
        cache.set(TWO.digest, TWO, "team/app")
        assert cache.stat(ONE.digest) in (None, ONE)
        assert cache.stat(ONE.digest, "team/app") is None
        assert cache.stat(TWO.digest, "team/app") in (None, TWO)

    @pytest.mark.parametrize("repository", [None, "team/app"])
    def test_invalid_descriptors_are_refused(
        self, cache: DescriptorCache, repository: str | None
    ) -> None:
        """A descriptor has a media type and a size, or it is not remembered."""
        for wrong in (replace(ONE, media_type=""), replace(ONE, size=-1)):
            with pytest.raises(ValueError):
                cache.set(ONE.digest, wrong, repository)
        assert cache.stat(ONE.digest) is None
        assert cache.stat(ONE.digest, "team/app") is None

    def test_clear_of_what_is_unknown(self, cache: DescriptorCache) -> None:
        """To forget what was never known is no error."""
        cache.clear(ONE.digest)
        cache.clear(ONE.digest, "team/app")

    # What a cache remembers

    @needs("remembers")
    def test_set_and_stat(self, memory: DescriptorCache) -> None:
        """Media type, digest and size come back."""
        memory.set(ONE.digest, ONE)
        assert memory.stat(ONE.digest) == ONE
        assert memory.stat(TWO.digest) is None

    @needs("remembers")
    def test_an_empty_blob_is_remembered(self, memory: DescriptorCache) -> None:
        """A size of 0 is a size."""
        empty = make_descriptor("")
        memory.set(empty.digest, empty)
        assert memory.stat(empty.digest) == empty

    @needs("remembers")
    @pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
    def test_digests_of_every_algorithm(
        self, memory: DescriptorCache, algorithm: str
    ) -> None:
        """Content is remembered under any digest that the registry knows."""
        digest = Digest.of(b"content", algorithm)
        descriptor = Descriptor("application/x-test", digest, 7)
        memory.set(digest, descriptor, "team/app")
        assert memory.stat(digest, "team/app") == descriptor
        assert memory.stat(digest) == descriptor

    @needs("remembers")
    def test_set_again(self, memory: DescriptorCache) -> None:
        """The last descriptor is the one that is remembered."""
        memory.set(ONE.digest, ONE)
        again = replace(ONE, media_type="application/x-again")
        memory.set(ONE.digest, again)
        assert memory.stat(ONE.digest) == again

    @needs("remembers")
    def test_the_registry_knows_more_than_a_repository(
        self, memory: DescriptorCache
    ) -> None:
        """What the whole registry knows, no repository knows by that."""
        memory.set(ONE.digest, ONE)
        for name in NAMES:
            assert memory.stat(ONE.digest, name) is None

    @needs("remembers")
    def test_repositories_know_nothing_of_each_other(
        self, memory: DescriptorCache
    ) -> None:
        """What is set for one repository is known there and in the registry."""
        for name in NAMES:
            descriptor = make_descriptor(f"content of {name}")
            memory.set(descriptor.digest, descriptor, name)
            for other in NAMES:
                known = memory.stat(descriptor.digest, other)
                assert known == (descriptor if other == name else None)
            assert memory.stat(descriptor.digest) == descriptor

    @needs("remembers")
    def test_a_repository_has_its_own_media_type(self, memory: DescriptorCache) -> None:
        """One repository's view of the content is not another's, nor the registry's."""
        mine = replace(ONE, media_type="application/x-mine")
        memory.set(ONE.digest, ONE)
        memory.set(ONE.digest, mine, "team/app")
        memory.set(ONE.digest, ONE, "team/other")
        assert memory.stat(ONE.digest) == ONE
        assert memory.stat(ONE.digest, "team/app") == mine
        assert memory.stat(ONE.digest, "team/other") == ONE

    @needs("remembers")
    def test_clear_everywhere(self, memory: DescriptorCache) -> None:
        """Cleared for the registry, it is known to nobody, and all else stays."""
        for name in (None, *NAMES):
            memory.set(ONE.digest, ONE, name)
            memory.set(TWO.digest, TWO, name)
        memory.clear(ONE.digest)
        for name in (None, *NAMES):
            assert memory.stat(ONE.digest, name) is None
            assert memory.stat(TWO.digest, name) == TWO

    @needs("remembers", "clears_apart")
    def test_clear_in_one_repository(self, memory: DescriptorCache) -> None:
        """Cleared for one repository, another still knows it."""
        memory.set(ONE.digest, ONE, "team/app")
        memory.set(ONE.digest, ONE, "team/other")
        memory.set(TWO.digest, TWO, "team/app")
        memory.clear(ONE.digest, "team/app")
        assert memory.stat(ONE.digest, "team/app") is None
        assert memory.stat(ONE.digest, "team/other") == ONE
        assert memory.stat(TWO.digest, "team/app") == TWO

    @needs("remembers")
    @lacks("clears_apart")
    def test_clear_in_one_repository_is_a_miss_in_others(
        self, memory: DescriptorCache
    ) -> None:
        """Until it is set there again; other content stays known."""
        for name in ("team/app", "team/other"):
            memory.set(ONE.digest, ONE, name)
            memory.set(TWO.digest, TWO, name)
        memory.clear(ONE.digest, "team/app")
        assert memory.stat(ONE.digest, "team/app") is None
        assert memory.stat(ONE.digest, "team/other") is None
        assert memory.stat(TWO.digest, "team/app") == TWO
        memory.set(ONE.digest, ONE, "team/other")
        assert memory.stat(ONE.digest, "team/other") == ONE
        assert memory.stat(ONE.digest, "team/app") is None

    @needs("remembers")
    def test_cleared_in_the_only_repository(self, memory: DescriptorCache) -> None:
        """The content may be gone with it, so the registry forgets it too."""
        memory.set(ONE.digest, ONE, "team/app")
        memory.clear(ONE.digest, "team/app")
        assert memory.stat(ONE.digest) is None

    @needs("remembers")
    def test_set_after_clear(self, memory: DescriptorCache) -> None:
        """What was forgotten can be remembered again."""
        memory.set(ONE.digest, ONE, "team/app")
        memory.clear(ONE.digest)
        memory.set(ONE.digest, ONE, "team/app")
        assert memory.stat(ONE.digest) == ONE
        assert memory.stat(ONE.digest, "team/app") == ONE

    def test_many_threads(self, cache: DescriptorCache) -> None:
        """Threads that set, stat and clear at once never see another's answer."""
        descriptors = [make_descriptor(f"{n}") for n in range(20)]

        def use(number: int) -> None:
            for turn in range(50):
                descriptor = descriptors[(number * turn) % len(descriptors)]
                name = NAMES[turn % len(NAMES)]
                cache.set(descriptor.digest, descriptor, name)
                assert cache.stat(descriptor.digest, name) in (None, descriptor)
                assert cache.stat(descriptor.digest) in (None, descriptor)
                cache.clear(descriptor.digest, name if turn % 2 else None)

        with ThreadPoolExecutor(8) as pool:
            for _ in pool.map(use, range(8)):
                pass

    # Backends

    @needs("remembers", "shared")
    def test_shared_memory(
        self, memory: DescriptorCache, other_cache: DescriptorCache | None
    ) -> None:
        """What one worker's cache is told, every other's knows, deletes too."""
        assert other_cache is not None, "a shared cache has to override other_cache"
        memory.set(ONE.digest, ONE, "team/app")
        assert other_cache.stat(ONE.digest, "team/app") == ONE
        other_cache.clear(ONE.digest)
        assert memory.stat(ONE.digest, "team/app") is None
        assert memory.stat(ONE.digest) is None
        other_cache.close()

    @needs("has_backend")
    def test_a_backend_that_does_not_answer_is_a_miss(
        self, broken_cache: DescriptorCache | None
    ) -> None:
        """No method raises for it: the registry is slower, and never wrong."""
        assert broken_cache is not None, "a backend has to override broken_cache"
        for name in (None, "team/app"):
            broken_cache.set(ONE.digest, ONE, name)
            assert broken_cache.stat(ONE.digest, name) is None
            broken_cache.clear(ONE.digest, name)
        broken_cache.close()
