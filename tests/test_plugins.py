"""The plugin manager: what is found, in which order, and what is refused."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flaskreg import hookimpl
from flaskreg import plugins as module
from flaskreg.plugins import DEFAULT_PLUGINS
from flaskreg.plugins import PluginError
from flaskreg.plugins import collect
from flaskreg.plugins import installed
from flaskreg.plugins import make_plugin_manager
from flaskreg.plugins import offers


DRIVERS = "flaskreg_register_drivers"


def offering(**drivers: object) -> object:
    """Return a plugin that offers drivers."""

    class Plugin:
        @hookimpl
        def flaskreg_register_drivers(self) -> Mapping[str, Any]:
            return drivers

    return Plugin()


class Installed:
    """Pretends that plugins are installed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.entry_points: list[EntryPoint] = []
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setattr(module, "entry_points", self.find)

    def find(self, *, group: str) -> list[EntryPoint]:
        """Return the entry points in the order in which they were added."""
        assert group == module.GROUP == "flaskreg"
        return list(self.entry_points)

    def add(self, name: str, text: str, distribution: str = "") -> None:
        """Add a plugin whose module has this text."""
        file = f"plugin_{len(self.entry_points)}_{name}"
        (self.folder / f"{file}.py").write_text(text)
        entry_point = EntryPoint(name, file, "flaskreg")
        if distribution:
            dist = SimpleNamespace(name=distribution, version="1.0")
            vars(entry_point)["dist"] = dist
        self.entry_points.append(entry_point)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Return a way to install plugins."""
    return Installed(tmp_path, monkeypatch)


OFFERS = """
from flaskreg import hookimpl
@hookimpl
def flaskreg_register_drivers():
    return {{"{}": None}}
"""


def test_the_defaults_are_plugins() -> None:
    """Nothing but the names of the defaults is registered without plugins."""
    manager = make_plugin_manager(discover=False)
    assert [name for name, _ in manager.list_name_plugin()] == list(DEFAULT_PLUGINS)
    assert collect(manager, DRIVERS).keys() == {"filesystem", "inmemory"}


def test_every_call_makes_a_manager_of_its_own() -> None:
    """There is no global manager that one application could change for another."""
    manager = make_plugin_manager(plugins=[offering(mine=1)], discover=False)
    assert "mine" in collect(manager, DRIVERS)
    assert "mine" not in collect(make_plugin_manager(discover=False), DRIVERS)


def test_installed_plugins_come_in_the_order_of_their_names(fake: Installed) -> None:
    """Whatever order the file system has."""
    for order in itertools.permutations(["b", "a", "c"]):
        fake.entry_points.clear()
        for name in order:
            fake.add(name, OFFERS.format(f"driver-{name}"))
        assert [each.name for each in installed()] == ["a", "b", "c"]
        names = [name for name, _ in make_plugin_manager().list_name_plugin()]
        assert names == [*DEFAULT_PLUGINS, "a", "b", "c"]


def test_the_order_of_registration_does_not_matter() -> None:
    """What all plugins offer together is the same in any order."""
    given = [offering(a=1), offering(b=2), offering(c=3, d=4)]
    results = [
        dict(collect(make_plugin_manager(plugins=order, discover=False), DRIVERS))
        for order in itertools.permutations(given)
    ]
    assert all(result == results[0] for result in results)
    assert {"a", "b", "c", "d", "filesystem"} <= results[0].keys()


def test_two_plugins_of_one_name_are_refused(fake: Installed) -> None:
    """pluggy would skip one of them silently; both distributions are named."""
    fake.add("s3", OFFERS.format("a"), "flaskreg-s3")
    fake.add("s3", OFFERS.format("b"), "another-s3")
    with pytest.raises(PluginError, match=r"'s3': flaskreg-s3 and another-s3"):
        make_plugin_manager()


def test_one_plugin_that_is_found_twice_is_one(fake: Installed) -> None:
    """An editable install beside its build names the same module twice."""
    fake.add("s3", OFFERS.format("a"), "flaskreg-s3")
    fake.entry_points *= 2
    assert [each.name for each in installed()] == ["s3"]
    assert "a" in collect(make_plugin_manager(), DRIVERS)


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_that_two_plugins_offer_is_refused(order: int) -> None:
    """The error names what it is, and both plugins."""
    manager = make_plugin_manager(discover=False)
    plugins = [("one", offering(mine=1)), ("two", offering(mine=2))]
    for name, plugin in plugins[::order]:
        manager.register(plugin, name)
    with pytest.raises(PluginError, match=r"^drivers: 'mine' is offered by") as caught:
        collect(manager, DRIVERS)
    assert "one" in str(caught.value)
    assert "two" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_default_cannot_be_replaced_by_its_name() -> None:
    """A plugin that offers ``filesystem`` is refused, unless the default is off."""
    plugin = offering(filesystem=1)
    with pytest.raises(PluginError, match=r"flaskreg\.defaults\.filesystem"):
        collect(make_plugin_manager(plugins=[plugin], discover=False), DRIVERS)
    manager = make_plugin_manager(["filesystem"], [plugin], discover=False)
    assert collect(manager, DRIVERS)["filesystem"] == 1


def test_a_disabled_plugin_is_not_even_imported(fake: Installed) -> None:
    """What breaks at import can be switched off."""
    fake.add("broken", "raise RuntimeError('imported')")
    fake.add("fine", OFFERS.format("fine"))
    manager = make_plugin_manager(["broken"])
    assert "fine" in collect(manager, DRIVERS)
    assert "plugin_0_broken" not in sys.modules
    with pytest.raises(RuntimeError, match="imported"):
        make_plugin_manager()


@pytest.mark.parametrize(
    "text", ["import no_such_module", "from flaskreg import no_such_name"]
)
def test_a_plugin_that_cannot_be_loaded_is_told_in_one_line(
    fake: Installed, text: str
) -> None:
    """The line names the plugin, where it is from, and what is missing."""
    fake.add("broken", text, "flaskreg-broken")
    with pytest.raises(PluginError, match="'broken' of flaskreg-broken") as caught:
        make_plugin_manager()
    assert "no_such_" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_hook_is_refused() -> None:
    """A hook that nobody calls would be a plugin that does nothing."""

    class Plugin:
        @hookimpl
        def flaskreg_register_driver(self) -> None:
            """Offer nothing, since the name lacks its last letter."""

    with pytest.raises(PluginError, match="flaskreg_register_driver") as caught:
        make_plugin_manager(plugins=[Plugin()], discover=False)
    assert "\n" not in str(caught.value)


def test_a_hook_with_an_unknown_argument_is_refused() -> None:
    """It would not be called with that argument."""

    class Plugin:
        @hookimpl
        def flaskreg_make_driver(self, setings: object) -> None:
            """Ask for an argument that does not exist."""

    with pytest.raises(PluginError, match="setings") as caught:
        make_plugin_manager(plugins=[Plugin()], discover=False)
    assert "\n" not in str(caught.value)


def test_offers_are_told_by_plugin() -> None:
    """For the list of plugins: who offers what."""
    manager = make_plugin_manager(plugins=[offering(mine=1)], discover=False)
    told = dict(offers(manager, DRIVERS))
    assert told["flaskreg.defaults.filesystem"].keys() == {"filesystem"}
    assert {"mine": 1} in told.values()


@pytest.mark.parametrize("name", DEFAULT_PLUGINS)
def test_defaults_have_their_hooks_last(name: str) -> None:
    """The first is what it is; the hook that registers it stands at the end."""
    manager = make_plugin_manager(discover=False)
    plugin = manager.get_plugin(name)
    assert plugin is not None
    callers = manager.get_hookcallers(plugin)
    assert callers
    if name.endswith("services"):
        assert all(caller.name.startswith("flaskreg_make_") for caller in callers)
    else:
        (caller,) = callers
        functions = [
            each
            for each in vars(plugin).values()
            if callable(each) and getattr(each, "__module__", "") == plugin.__name__
        ]
        assert functions[-1].__name__ == caller.name
