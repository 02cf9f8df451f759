"""The driver suite, tested with drivers that are wrong."""

from __future__ import annotations

import pytest

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.testing import DriverTests

from .mutants import MUTANTS


pytest_plugins = ["pytester"]

MODULE = """
import builtins

import pytest


class TestDriver(builtins.suite_under_test):
    shared_between_processes = False

    @pytest.fixture
    def make_driver(self):
        return builtins.driver_under_test

    def leftovers(self, driver):
        return [*driver._files, *driver._uploads, *driver._held]
"""


@pytest.fixture
def failed_by(pytester, monkeypatch):
    """Return a callable that gives the names of the tests that fail a driver."""
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    # With it pytest shows whole differences, and those of MiB take minutes.
    monkeypatch.delenv("CI", raising=False)

    def run(driver, *names):
        # The module is imported in this process, but all that it imports anew is
        # forgotten after it: what is handed to it need not be.
        monkeypatch.setattr("builtins.suite_under_test", DriverTests, raising=False)
        monkeypatch.setattr("builtins.driver_under_test", driver, raising=False)
        chosen = ["-k", " or ".join(names)] if names else []
        module = pytester.makepyfile(MODULE)
        result = pytester.inline_run(module, "-p", "no:cacheprovider", *chosen)
        passed, skipped, failed = result.listoutcomes()
        assert passed or failed
        assert not skipped
        return {
            report.nodeid.rpartition("::")[2].partition("[")[0] for report in failed
        }

    return run


def test_a_good_driver_passes(failed_by):
    """The suite asks for nothing that a good driver does not do."""
    assert failed_by(InMemoryDriver) == set()


@pytest.mark.parametrize("driver", MUTANTS, ids=lambda driver: driver.__name__)
def test_a_wrong_driver_fails(failed_by, driver):
    """Each mistake is found by the tests that are there for it."""
    assert failed_by(driver, *MUTANTS[driver]) >= set(MUTANTS[driver])
