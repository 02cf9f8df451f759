"""A wrapped driver does all that the driver does."""

from __future__ import annotations

import inspect

import pytest

from flaskreg.defaults.filesystem import FilesystemDriver
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driver import StorageDriver
from flaskreg.driverwrapper import DriverWrapper
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.testing import DriverTests


METHODS = [
    name
    for name, value in vars(StorageDriver).items()
    if callable(value) and not name.startswith("_")
]


class TestWrappedDriver(DriverTests):
    """The whole suite, through two wrappers."""

    shared_between_processes = False

    @pytest.fixture
    def make_driver(self):
        """Return a callable that wraps a driver twice."""
        return lambda: DriverWrapper(DriverWrapper(InMemoryDriver()))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_forwarded(name):
    """Those that have a default in the contract too: the inner one may know better."""
    asked = []

    class Answering(InMemoryDriver):
        pass

    signature = inspect.signature(getattr(StorageDriver, name))
    arguments = [
        parameter.name
        for parameter in list(signature.parameters.values())[1:]
        if parameter.default is parameter.empty
    ]

    def answer(_self, *args, **_kwargs):
        asked.append(args)
        return Handover(url="told") if name in {"hand_over", "redirect"} else "told"

    inner = "hand_over" if name == "redirect" else name
    setattr(Answering, inner, answer)
    told = getattr(DriverWrapper(Answering()), name)(*arguments)
    assert asked
    if name == "redirect":
        assert asked == [("path", ContentRequest("method"))]
        assert told == "told"
    else:
        assert asked[0][: len(arguments)] == tuple(arguments)
        assert told == (Handover(url="told") if name == "hand_over" else "told") or (
            signature.return_annotation == "None"
        )


def test_the_attributes_are_those_of_the_driver(tmp_path):
    """The core decides by them."""
    inner = FilesystemDriver(str(tmp_path))
    inner.remote = True
    wrapped = DriverWrapper(inner)
    for name in ("name", "renames", "dates_directories", "remote"):
        assert getattr(wrapped, name) == getattr(inner, name)


def test_redirect_follows_hand_over():
    """Whoever overrides the one need not override the other."""

    class Elsewhere(DriverWrapper):
        def hand_over(self, path, request):
            return Handover(f"https://cdn{path}") if request.method == "GET" else None

    driver = Elsewhere(InMemoryDriver())
    assert driver.redirect("/a", "GET") == "https://cdn/a"
    assert driver.redirect("/a", "HEAD") is None
