"""Caches with schedulers, and worker processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driver import StorageDriver


sys.path.insert(0, str(Path(__file__).parent))

from actors import Actor  # noqa: E402 - beside this file
from cached import Cached  # noqa: E402
from cached import Now  # noqa: E402
from cached import make_driver  # noqa: E402


@pytest.fixture
def clock():
    """Return a clock that goes when it is told to."""
    return Now()


@pytest.fixture(params=["filesystem", "inmemory"])
def driver(request, tmp_path) -> StorageDriver:
    """Return an empty storage, one of files and one in memory."""
    if request.param == "inmemory":
        return InMemoryDriver()
    return make_driver(tmp_path / "root")


@pytest.fixture
def make_cached(driver, clock) -> Iterator[type[Cached]]:
    """Return a function that makes a worker by its limits; closed at the end."""
    made = []

    def make(limits, **more):
        cached = Cached(driver, limits, more.pop("clock", clock), **more)
        made.append(cached)
        return cached

    yield make
    for cached in made:
        cached.scheduler.close()


@pytest.fixture
def make_actor(tmp_path) -> Iterator[type[Actor]]:
    """Return a function that starts a worker process; each is ended at the end."""
    made = []

    def make(root=None, **settings):
        actor = Actor(root or tmp_path / "root", settings)
        made.append(actor)
        return actor

    yield make
    for actor in made:
        actor.kill()
