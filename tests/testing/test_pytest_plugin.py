"""The pytest plugin: its options, its fixtures, and rewritten assertions."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run_pytest(folder, module, *arguments):
    """Run pytest on a module, in a process of its own."""
    (folder / "test_it.py").write_text(module)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )


def test_the_options_have_defaults(tmp_path):
    """Without options the core is tested with its own parts, in memory."""
    module = (
        "def test_names(flaskreg_driver_name, flaskreg_driver_parameters,"
        " flaskreg_cache_name):\n"
        "    assert flaskreg_driver_name == flaskreg_cache_name == 'inmemory'\n"
        "    assert flaskreg_driver_parameters == {}\n"
    )
    assert run_pytest(tmp_path, module).returncode == 0


def test_the_options_are_given_by_fixtures(tmp_path):
    """Names are given as they are, parameters as YAML, each test with its folder."""
    module = """
def test_it(
    flaskreg_driver_name, flaskreg_driver_parameters, flaskreg_cache_name, tmp_path
):
    assert flaskreg_driver_name == "example"
    assert flaskreg_cache_name == "none"
    assert flaskreg_driver_parameters == {"file": f"{tmp_path}/a=b", "timeout": 3}
"""
    result = run_pytest(
        tmp_path,
        module,
        "--flaskreg-driver=example",
        "--flaskreg-driver-parameter=file={tmp_path}/a=b",
        "--flaskreg-driver-parameter=timeout=3",
        "--flaskreg-cache=none",
    )
    assert result.returncode == 0, result.stdout


def test_assertions_of_the_suites_are_rewritten(tmp_path):
    """A failure shows the values, not a bare AssertionError."""
    module = """
import pytest

from flaskreg.defaults.memorycache import NoCache
from flaskreg.testing import DescriptorCacheTests


class TestCache(DescriptorCacheTests):
    @pytest.fixture
    def cache(self):
        return NoCache()
"""
    result = run_pytest(tmp_path, module, "-k", "test_set_and_stat")
    assert result.returncode == 1
    assert "assert None == Descriptor(" in result.stdout


def test_unknown_names_are_told():
    """A misspelt suite is an error that names it."""
    from flaskreg import testing

    with pytest.raises(AttributeError, match="DriverTest'"):
        testing.DriverTest  # noqa: B018
