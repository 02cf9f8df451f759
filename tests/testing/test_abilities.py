"""What a plugin is not able to do is deselected, never skipped, and never hidden."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flaskreg import testing


pytest_plugins = ["pytester"]

SUITES = Path(testing.__file__).parent

SUITE = """
import pytest
from hypothesis import given
from hypothesis import strategies

from flaskreg.testing.abilities import lacks
from flaskreg.testing.abilities import needs


class Suite:
    able = False
    also = True

    @needs("able")
    def test_able(self): ...

    @needs("able", "also")
    def test_both(self): ...

    @needs("also")
    @lacks("able")
    @pytest.mark.parametrize("number", [1, 2])
    def test_one(self, number): ...

    @lacks("able")
    def test_neither(self): ...

    @needs("able")
    @given(strategies.booleans())
    def test_outside(self, value): ...

    @given(strategies.booleans())
    @needs("able")
    def test_inside(self, value): ...

    def test_all(self): ...


@needs("able")
class Part:
    def test_part(self): ...


class Both(Suite, Part): ...
"""


@pytest.fixture
def collect(pytester):
    """Return a callable that runs a module and gives what passed and was deselected.

    Both are names of tests, as far as they are of use: ``Class.test[parameter]``.
    """
    pytester.makeini("[pytest]\nfilterwarnings = error\nstrict_markers = true\n")

    def run(module, *arguments):
        path = pytester.makepyfile(SUITE + module)
        result = pytester.inline_run(path, "-p", "no:cacheprovider", *arguments)
        passed, skipped, failed = result.listoutcomes()
        assert not skipped
        assert not failed
        calls = result.getcalls("pytest_deselected")
        left_out = [item for call in calls for item in call.items]
        return tuple(
            {each.nodeid.partition("::")[2].replace("::", ".") for each in several}
            for several in (passed, left_out)
        )

    return run


def named(suite, *names):
    """Return names of tests of one suite."""
    return {f"{suite}.test_{name}" for name in names}


ABLE = ("able", "both", "outside", "inside", "part")
UNABLE = ("one[1]", "one[2]", "neither")


def test_a_suite_that_states_an_ability(collect):
    """It has the tests that need the ability, and none of those that lack it."""
    passed, left_out = collect("class TestIt(Both):\n    able = True\n")
    assert passed == named("TestIt", *ABLE, "all")
    assert left_out == named("TestIt", *UNABLE)


def test_a_suite_that_does_not(collect):
    """It has the others; each parameter of a test counts."""
    passed, left_out = collect("class TestIt(Both): ...\n")
    assert passed == named("TestIt", *UNABLE, "all")
    assert left_out == named("TestIt", *ABLE)


def test_an_ability_is_that_of_the_class_that_runs(collect):
    """One module may have suites that are able and suites that are not."""
    module = """
class TestYes(Both):
    able = True

class TestNo(TestYes):
    able = 0

def test_plain(): ...
"""
    passed, left_out = collect(module)
    assert passed == {
        *named("TestYes", *ABLE, "all"),
        *named("TestNo", *UNABLE, "all"),
        "test_plain",
    }
    assert left_out == named("TestYes", *UNABLE) | named("TestNo", *ABLE)


def test_an_override_needs_what_it_overrides(collect):
    """Its own marks come on top, and go before those that it overrides."""
    module = """
class TestIt(Both):
    def test_able(self): ...

    @lacks("able")
    def test_both(self): ...

    def test_part(self): ...

    @lacks("also")
    def test_neither(self): ...
"""
    passed, left_out = collect(module, "-k", "able or both or part or neither")
    assert passed == named("TestIt", "both")
    assert named("TestIt", "able", "part", "neither") <= left_out


def test_the_mark_of_a_whole_suite(collect):
    """It holds for all of its tests, not for those of a class made from it."""
    module = """
@needs("able")
class TestMarked(Suite):
    def test_own(self): ...

class TestOther(TestMarked):
    def test_other(self): ...
"""
    passed, left_out = collect(module)
    assert passed == named("TestOther", "other")
    inherited = (*ABLE[:-1], *UNABLE, "all", "own")
    assert left_out == named("TestMarked", *inherited) | named("TestOther", *inherited)


def test_what_is_not_chosen_is_deselected_once(collect):
    """Other reasons to deselect a test come first."""
    passed, left_out = collect("class TestIt(Both): ...\n", "-k", "all or able")
    assert passed == named("TestIt", "all")
    assert left_out == named("TestIt", *ABLE, *UNABLE)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (
            'class TestIt:\n    @needs("abel")\n    def test_it(self): ...\n',
            "TestIt.test_it: no class attribute is named 'abel'",
        ),
        (
            '@lacks("able")\ndef test_it(): ...\n',
            "test_it: no class attribute is named 'able'",
        ),
    ],
)
def test_an_unknown_ability_is_an_error(pytester, module, told):
    """A misspelt name deselects nothing in silence."""
    result = pytester.runpytest_inprocess(pytester.makepyfile(SUITE + module))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{told}"])


def run_pytest(folder, *arguments, **variables):
    """Run pytest in a process of its own, as the author of a plugin does."""
    kept = {key: os.environ[key] for key in os.environ if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs"]
    result = subprocess.run(
        [*command, "-W", "error", "--strict-markers", *arguments],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


CACHE = """
import pytest

from flaskreg.defaults.memorycache import NoCache
from flaskreg.testing import DescriptorCacheTests


class TestCache(DescriptorCacheTests):
    remembers = False

    @pytest.fixture
    def cache(self):
        return NoCache()
"""


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ((), {}),
        (("-n", "2"), {}),
        (
            ("-p", "flaskreg.testing.pytest_plugin"),
            {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        ),
    ],
    ids=["one process", "xdist", "no other plugin"],
)
def test_a_plugin_anywhere(tmp_path, arguments, variables):
    """Its tests find the entry point alone; workers of xdist are counted once."""
    (tmp_path / "test_it.py").write_text(CACHE)
    told = run_pytest(tmp_path, *arguments, **variables)
    (summary,) = re.findall(r"=+ (\d+ passed, \d+ deselected) in .*", told)
    assert summary == "7 passed, 16 deselected"
    assert "skipped" not in told


def test_no_suite_skips():
    """A suite that skips would hide what it does not test."""
    files = sorted(SUITES.glob("*.py"))
    assert len(files) > 10
    for path in files:
        words = set(re.findall(r"\b(?:skip|skipif|importorskip)\b", path.read_text()))
        assert words == set(), path.name


WRONG = {
    "shared": (
        "Cache(DescriptorCacheTests)",
        "shared = True",
        "cache(self): return MemoryCache()",
    ),
    "other_cache": (
        "Cache(DescriptorCacheTests)",
        "other_cache = pytest.fixture(lambda self: MemoryCache())",
        "cache(self): return MemoryCache()",
    ),
    "has_backend": (
        "Cache(DescriptorCacheTests)",
        "has_backend = True",
        "cache(self): return MemoryCache()",
    ),
    "broken_cache": (
        "Cache(DescriptorCacheTests)",
        "broken_cache = pytest.fixture(lambda self: NoCache())",
        "cache(self): return MemoryCache()",
    ),
    "limits_access": (
        "Controller(AccessControllerTests)",
        "limits_access = True",
        "controller(self): return None",
    ),
    "denied": (
        "Controller(AccessControllerTests)",
        "denied = pytest.fixture(lambda self: 'anything')",
        "controller(self): return None",
    ),
    "keeps_times": (
        "Driver(DriverTests)",
        "keeps_times = shared_between_processes = False",
        "make_driver(self): return InMemoryDriver",
    ),
    "dates_directories": (
        "Driver(DriverTests)",
        "dates_directories = True",
        "make_driver(self): return InMemoryDriver",
    ),
    "hides_uncommitted": (
        "Driver(DriverTests)",
        "hides_uncommitted = False",
        "make_driver(self): return InMemoryDriver",
    ),
    "keeps_empty_directories": (
        "Driver(DriverTests)",
        "keeps_empty_directories = True",
        "make_driver(self): return InMemoryDriver",
    ),
    "supports_append": (
        "Driver(DriverTests)",
        "supports_append = False",
        "make_driver(self): return InMemoryDriver",
    ),
    "shared_between_processes": (
        "Driver(DriverTests)",
        "shared_between_processes = False",
        "make_driver(self): one = InMemoryDriver(); return lambda: one",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_attribute_that_is_not_true(pytester, wrong):
    """A suite fails whose attributes say what its plugin does not do."""
    name, attribute, fixture = WRONG[wrong]
    module = (
        "import pytest\n"
        "from flaskreg.defaults.inmemory import InMemoryDriver\n"
        "from flaskreg.defaults.memorycache import MemoryCache, NoCache\n"
        "from flaskreg.testing import AccessControllerTests, DescriptorCacheTests\n"
        "from flaskreg.testing import DriverTests\n\n\n"
        f"class Test{name}:\n    {attribute}\n\n"
        f"    @pytest.fixture\n    def {fixture}\n"
    )
    chosen = "abilities or readable or outlives or does_not_append or is_not_shared"
    result = pytester.inline_run(
        pytester.makepyfile(module), "-p", "no:cacheprovider", "-k", chosen
    )
    _, skipped, failed = result.listoutcomes()
    assert not skipped
    assert failed
