"""A wrapped service does all that the service does."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from builders import Client
from builders import MakeApp
from builders import push_image

from flaskreg import services
from flaskreg import servicewrappers
from flaskreg.services import Repository


WRAPPERS = {
    name.removesuffix("Wrapper"): value
    for name, value in vars(servicewrappers).items()
    if name.endswith("Wrapper")
}


#: what follows from another method, which a middleware may override.
OURS = {"repositories"}


def methods() -> list[tuple[str, str]]:
    """Return the methods of each contract, those that it inherits too."""
    return [
        (contract, name)
        for contract in WRAPPERS
        for name, _ in inspect.getmembers(getattr(services, contract), callable)
        if not name.startswith("_") and name not in OURS
    ]


class Answering:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        def answer(*args: Any) -> str:
            self.asked.append((name, args))
            return "told"

        return answer


@pytest.mark.parametrize(("contract", "name"), methods())
def test_every_method_is_forwarded(contract: str, name: str) -> None:
    """Those that have a default in the contract too: the inner one may know better."""
    inner = Answering()
    signature = inspect.signature(getattr(getattr(services, contract), name))
    given = [*signature.parameters][1:]
    told = getattr(WRAPPERS[contract](inner), name)(*given)
    assert inner.asked == [(name, tuple(given))]
    assert told == "told" or signature.return_annotation == "None"


def test_the_catalog_follows_what_is_overridden(make_app: MakeApp) -> None:
    """Whoever overrides the one need not override the other."""

    class Nothing(servicewrappers.RegistryWrapper):
        def iter_repositories(self, last: str = "") -> Any:
            del last
            return iter(("only",))

    registry = Nothing(make_app(()).site.registry)
    assert registry.repositories(5) == ["only"]


def test_a_repository_through_wrappers(make_app: MakeApp) -> None:
    """All stores of it are those of the inner one."""
    app = make_app(())
    push_image(Client(app), "app", "latest")
    inner = app.site.registry.repository("app")
    wrapped: Repository = servicewrappers.RepositoryWrapper(inner)
    for name in inspect.get_annotations(Repository):
        assert getattr(wrapped, name) is getattr(inner, name)
    assert wrapped.exists()
    assert wrapped.manifests().get_tagged("latest").digest
