"""The driver suite, tested with drivers that are wrong."""

from __future__ import annotations

import pytest

from flaskreg.defaults.inmemory import InMemoryDriver

from .mutants import MUTANTS


pytest_plugins = ["pytester"]

SUITE = """
import pytest

from flaskreg.testing import DriverTests


def make_test(driver):
    class TestDriver(DriverTests):
        shared_between_processes = False

        @pytest.fixture
        def make_driver(self):
            return driver

        def leftovers(self, driver):
            return [*driver._files, *driver._uploads, *driver._held]

    return TestDriver
"""


@pytest.fixture
def failed_by(pytester, monkeypatch):
    """Return a callable that gives the names of the tests that fail a driver."""
    pytester.makepyfile(suite=SUITE)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.syspathinsert()

    def run(driver, *arguments):
        module = pytester.makepyfile("from suite import make_test\n")
        monkeypatch.setattr(
            "builtins.driver_under_test", driver, raising=False
        )
        module.write_text(
            "import builtins\nfrom suite import make_test\n"
            "TestDriver = make_test(builtins.driver_under_test)\n"
        )
        result = pytester.inline_run(module, "-p", "no:cacheprovider", *arguments)
        passed, _, failed = result.listoutcomes()
        assert passed or failed
        return {report.nodeid.rpartition("::")[2].partition("[")[0] for report in failed}

    return run


def test_a_good_driver_passes(failed_by):
    """The suite asks for nothing that a good driver does not do."""
    assert failed_by(InMemoryDriver) == set()


@pytest.mark.parametrize("driver", MUTANTS, ids=lambda driver: driver.__name__)
def test_a_wrong_driver_fails(failed_by, driver):
    """Each mistake is found, by the tests that are there for it among others."""
    assert set(MUTANTS[driver]) <= failed_by(driver)
