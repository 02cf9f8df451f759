"""The registry: repositories by name, the catalog in byte order, and its scope."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from builders import WatchedDriver
from builders import index
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.digest import Digest
from flaskreg.errors import NameInvalid
from flaskreg.errors import NameUnknown
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.services import GlobalScope
from flaskreg.services import GlobScope
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.storage import paths
from flaskreg.storage.registry import LocalRegistry
from flaskreg.storage.repository import LocalRepository

from .conftest import MakeRegistry


def fill(registry: LocalRegistry, *names: str) -> None:
    """Push something to each of some repositories."""
    for name in names:
        registry.repository(name).manifests().put(index(), OCI_INDEX)


# Repositories


@pytest.mark.parametrize("name", ["", "A", "a/", "a//b", "../a", "a:5000/b", "a" * 256])
def test_a_name_has_to_follow_the_grammar(
    registry: LocalRegistry, driver: WatchedDriver, name: str
) -> None:
    """No other becomes a path, and it is told by its own error."""
    with pytest.raises(NameInvalid):
        registry.repository(name)
    assert driver.calls == []


def test_a_repository_is_there_before_anything_is_in_it(
    registry: LocalRegistry, driver: WatchedDriver
) -> None:
    """It is cheap: nothing is read for it, and it is made once in a process."""
    repository = registry.repository("team/app")
    assert repository.name == "team/app"
    assert registry.repository("team/app") is repository
    assert driver.calls == []
    assert not repository.exists()
    assert repository.manifests() is repository.manifests()
    assert list(registry.iter_repositories()) == []


def test_a_repository_is_made_by_the_hook(make_registry: MakeRegistry) -> None:
    """Once for each name, whatever it makes."""
    made: list[str] = []

    def make(registry: Registry, name: str) -> Repository:
        assert isinstance(registry, LocalRegistry)
        made.append(name)
        return registry.local_repository(name)

    registry = make_registry(make_repository=make)
    for name in ("a", "b", "a"):
        assert isinstance(registry.repository(name), LocalRepository)
    assert made == ["a", "b"]
    with pytest.raises(NameInvalid):
        registry.repository("A")
    assert made == ["a", "b"]


# Scope


def test_the_global_scope_has_every_name(registry: LocalRegistry) -> None:
    """It is the one without a setting."""
    assert isinstance(registry.scope(), GlobalScope)
    assert registry.scope().contains("whatever/it/is")


@pytest.mark.parametrize(
    ("globs", "inside", "outside"),
    [
        (["team/*"], ["team/a", "team/a/b"], ["team", "teams/a", "a/team/b"]),
        (["a", "b/*"], ["a", "b/c"], ["b", "a/b", "ab"]),
        (["*/base"], ["a/base", "a/b/base"], ["base", "a/base/c"]),
        (["v[0-9]"], ["v1"], ["v", "va", "v10"]),
        (["?"], ["a"], ["ab"]),
        (["*"], ["a", "a/b"], []),
    ],
)
def test_a_scope_of_globs(
    make_registry: MakeRegistry,
    globs: list[str],
    inside: list[str],
    outside: list[str],
) -> None:
    """A name outside is unknown, and is not listed either."""
    everything = make_registry()
    fill(everything, *inside, *outside)
    registry = make_registry(scope=GlobScope(globs))
    for name in inside:
        assert registry.scope().contains(name)
        assert registry.repository(name).exists()
    for name in outside:
        assert not registry.scope().contains(name)
        with pytest.raises(NameUnknown) as caught:
            registry.repository(name)
        assert caught.value.detail == {"name": name}
    assert list(registry.iter_repositories()) == sorted(inside)
    assert list(everything.iter_repositories()) == sorted([*inside, *outside])


def test_letter_case_matters_in_globs() -> None:
    """On every system."""
    assert not GlobScope(["TEAM/*"]).contains("team/a")


# The catalog


_component = st.sampled_from(["a", "b", "a-b", "a.b", "a0", "ab", "b-", "x", "a_b"])
_name = st.lists(_component, min_size=1, max_size=3).map("/".join)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    names=st.sets(_name.filter(lambda name: "b-" not in name.split("/")), max_size=8),
    last=st.one_of(st.just(""), _name, st.text("ab-/", max_size=4)),
    limit=st.integers(0, 4),
)
def test_the_order_is_that_of_bytes(
    manifest_parts: dict[str, Any], names: set[str], last: str, limit: int
) -> None:
    """Of whole names, whatever the tree; from any place, whole or in pages."""
    from flaskreg.defaults.memorycache import NoCache

    registry = LocalRegistry(InMemoryDriver(), NoCache(), **manifest_parts)
    fill(registry, *names)
    expected = sorted(name for name in names if name > last)
    assert list(registry.iter_repositories(last)) == expected
    assert list(registry.repositories(limit, last)) == expected[:limit]
    found: list[str] = []
    while page := registry.repositories(2, found[-1] if found else last):
        found += page
    assert found == expected


def test_order_and_pages_on_every_driver(registry: LocalRegistry) -> None:
    """Names that end where others go on, and what sorts between them."""
    names = ["a", "a-b", "a.b", "a/1", "a/b", "a/b/c", "a0", "ab", "b/a", "b/a-1"]
    fill(registry, *names)
    assert list(registry.iter_repositories()) == names
    for at, name in enumerate(names):
        assert list(registry.iter_repositories(name)) == names[at + 1 :]
        assert list(registry.repositories(2, name)) == names[at + 1 : at + 3]
    assert list(registry.repositories(0)) == []


def test_a_page_enters_no_more_than_it_needs(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """The first of a hundred repositories costs no walk of all."""
    registry = make_registry()
    fill(registry, *[f"team{number:02}/app" for number in range(50)])
    driver.calls.clear()
    assert list(islice(registry.iter_repositories(), 2)) == ["team00/app", "team01/app"]
    assert len(driver.asked("list")) <= 6
    driver.calls.clear()
    assert list(registry.repositories(1, "team40/app")) == ["team41/app"]
    assert len(driver.asked("list")) <= 6


def test_what_holds_no_manifest_is_not_listed(
    registry: LocalRegistry, driver: WatchedDriver
) -> None:
    """A repository with nothing but uploads and blobs comes with its first push."""
    fill(registry, "app")
    repository = registry.repository("team/new")
    repository.uploads.start().commit(Digest.of(b"x"), [b"x"])
    repository.uploads.start()
    assert list(registry.iter_repositories()) == ["app"]
    driver.put_content(f"{paths.REPOSITORIES}/stray", b"a file among the repositories")
    assert list(registry.iter_repositories()) == ["app"]
    fill(registry, "team/new")
    assert list(registry.iter_repositories()) == ["app", "team/new"]


# Holders of a blob


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_holders(registry: LocalRegistry, algorithm: str) -> None:
    """The repositories that link a blob, in order, by any digest they have of it."""
    digest = Digest.of(b"content", algorithm)
    fill(registry, "empty")
    for name in ("b", "a/x", "c"):
        registry.repository(name).uploads.start().commit(digest, [b"content"])
    assert list(registry.iter_holders(digest, 100)) == ["a/x", "b", "c"]
    registry.repository("b").blobs.delete(digest)
    assert list(registry.iter_holders(digest, 100)) == ["a/x", "c"]


def test_holders_are_looked_for_within_a_limit(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """And not at all when the content is nowhere, or the limit is 0."""
    registry = make_registry()
    digest = Digest.of(b"content")
    for number in range(5):
        fill(registry, f"app{number}")
    registry.repository("app4").blobs.put(b"content", "x/y")
    assert list(registry.iter_holders(digest, 4)) == []
    assert list(registry.iter_holders(digest, 5)) == ["app4"]
    driver.calls.clear()
    assert list(registry.iter_holders(Digest.of(b"nowhere"), 100)) == []
    assert driver.asked("list") == []
    assert list(registry.iter_holders(digest, 0)) == []


def test_holders_are_within_the_scope(make_registry: MakeRegistry) -> None:
    """Nobody is told of another one."""
    for name in ("inside/a", "outside/a"):
        make_registry().repository(name).blobs.put(b"content", "x/y")
    registry = make_registry(scope=GlobScope(["inside/*"]))
    assert list(registry.iter_holders(Digest.of(b"content"), 10)) == ["inside/a"]
