"""The suite of plugin distributions: what pip installs and the registry finds."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from importlib.metadata import metadata
from importlib.metadata import requires
from typing import Any

import pluggy
import pytest

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.defaults.memorycache import NoCache
from flaskreg.plugins import GROUP
from flaskreg.plugins import collect
from flaskreg.plugins import installed
from flaskreg.plugins import make_plugin_manager
from flaskreg.services import Registry
from flaskreg.storage.registry import LocalRegistry
from flaskreg.testing.audit import watch


#: the hooks whose factories take the parameters of their own section.
_FACTORIES = (
    "flaskreg_register_drivers",
    "flaskreg_register_caches",
    "flaskreg_register_access_controllers",
)
_OPTIONS = "flaskreg_register_manifest_options"
_MIDDLEWARE = "flaskreg_register_storage_middleware"
_REGISTRY = "flaskreg_register_registry_middleware"
_REPOSITORY = "flaskreg_register_repository_middleware"

_HOOKS = (*_FACTORIES, _OPTIONS, _MIDDLEWARE, _REGISTRY, _REPOSITORY)

_UNKNOWN = "parameter-that-nobody-knows"


def _registry() -> Registry:
    return LocalRegistry(InMemoryDriver(), NoCache(), {})


class PluginTests:
    """What every plugin distribution promises, once it is installed.

    Set ``plugin_name`` and ``distribution``, and ``parameters`` when there are any.
    """

    #: the name of the entry point in the group ``flaskreg``.
    plugin_name: str
    #: the name under which pip knows the distribution.
    distribution: str
    #: every parameter that the configuration can set.
    parameters: Sequence[str] = ()
    #: whether factories do no I/O, as the contract wants.
    constructs_without_io: bool = True

    def valid_parameters(self, name: str) -> Mapping[str, Any]:
        """Return parameters that the factory *name* takes, by default none."""
        del name
        return {}

    @pytest.fixture
    def plugin(self) -> object:
        """Return what the entry point gives."""
        return self._entry_point().load()

    @pytest.fixture
    def manager(self, plugin: object) -> pluggy.PluginManager:
        """Return a plugin manager with the core's plugins and this one."""
        return make_plugin_manager(plugins=[plugin], discover=False)

    @pytest.fixture
    def factories(
        self, plugin: object, manager: pluggy.PluginManager
    ) -> Mapping[str, Callable[[Mapping[str, Any]], object]]:
        """Return the plugin's factories by name, each a callable of parameters."""
        return dict(self._iter_factories(plugin, manager))

    def test_the_entry_point_loads(self, plugin: object) -> None:
        """It is installed, and it is a module or an object with hooks."""
        assert plugin is not None

    def test_the_entry_point_is_of_the_distribution(self) -> None:
        """No other distribution offers a plugin of this name."""
        found = self._entry_point()
        assert found.dist is not None
        assert found.dist.name == self.distribution

    def test_every_hook_is_known(
        self, plugin: object, manager: pluggy.PluginManager
    ) -> None:
        """It implements at least one hook, and no misspelt one."""
        assert manager.get_hookcallers(plugin)
        manager.check_pending()

    def test_every_name_is_unique(self) -> None:
        """Nothing that it registers is registered by another installed plugin."""
        manager = make_plugin_manager()
        types = "flaskreg_register_manifest_types"
        for hook in (*_HOOKS, types):
            collect(manager, hook)

    def test_factories_do_no_io(
        self, factories: Mapping[str, Callable[[Mapping[str, Any]], object]]
    ) -> None:
        """What is configured is made before the server forks."""
        for name, factory in factories.items():
            made = factory(self.valid_parameters(name))
            assert made is not None
            if self.constructs_without_io:
                found = watch(lambda f=factory, n=name: f(self.valid_parameters(n)))  # type: ignore[misc]
                assert found == []

    def test_an_unknown_parameter_is_refused(
        self, factories: Mapping[str, Callable[[Mapping[str, Any]], object]]
    ) -> None:
        """The error is one line that names it."""
        for name, factory in factories.items():
            with pytest.raises(ConfigError) as caught:
                factory({**self.valid_parameters(name), _UNKNOWN: 1})
            assert _UNKNOWN in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1

    def test_every_parameter_is_known(
        self, factories: Mapping[str, Callable[[Mapping[str, Any]], object]]
    ) -> None:
        """What ``valid_parameters`` gives is among ``parameters``."""
        for name in factories:
            assert self.valid_parameters(name).keys() <= set(self.parameters)

    def test_the_readme_names_every_parameter(self) -> None:
        """The README is the long description, and has each parameter as code."""
        message = metadata(self.distribution)
        text = message["Description"] or message.get_payload()  # type: ignore[attr-defined]
        assert text, "the distribution has no long description"
        missing = [name for name in self.parameters if f"`{name}`" not in text]
        assert missing == []

    def test_it_requires_flaskreg(self) -> None:
        """Whoever installs the plugin gets a registry that it works with."""
        wanted = requires(self.distribution) or []
        assert any(line.replace("_", "-").startswith("flaskreg") for line in wanted)

    def _entry_point(self) -> Any:
        found = {each.name: each for each in installed()}
        assert self.plugin_name in found, (
            f"no entry point {self.plugin_name!r} in the group {GROUP!r}: "
            f"is {self.distribution} installed?"
        )
        return found[self.plugin_name]

    def _iter_factories(
        self, plugin: object, manager: pluggy.PluginManager
    ) -> Iterator[tuple[str, Callable[[Mapping[str, Any]], object]]]:
        for hook in _HOOKS:
            for caller in getattr(manager.hook, hook).get_hookimpls():
                if caller.plugin is not plugin:
                    continue
                for name, factory in caller.function().items():
                    if hook == _OPTIONS:
                        yield name, lambda given, f=factory: f(given, Settings())  # type: ignore[misc]
                    elif hook == _MIDDLEWARE:
                        yield name, lambda given, f=factory: f(InMemoryDriver(), given)  # type: ignore[misc]
                    elif hook == _REGISTRY:
                        yield name, lambda given, f=factory: f(_registry(), given)  # type: ignore[misc]
                    else:
                        yield name, factory
