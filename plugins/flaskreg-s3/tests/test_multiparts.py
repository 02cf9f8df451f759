"""``flaskreg multiparts``, over real servers."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner
from flaskreg_s3.commands import multiparts


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture
def config(server, root, tmp_path):
    """Return a configuration file for the place of the test."""
    file = tmp_path / "config.yml"
    storage = {"s3": server.parameters(root)}
    file.write_text(yaml.safe_dump({"version": "0.1", "storage": storage}))
    return str(file)


def test_what_was_left_is_listed_and_aborted(config, driver):
    """Old ones alone, and only when that is asked for."""
    key = driver.key("/uploads/1/data")
    driver.bucket.create_upload(key)

    def run(*arguments):
        done = CliRunner().invoke(multiparts, [config, *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    assert run("--abort") == ""
    assert key in run("--older=0s")
    assert len(list(driver.bucket.iter_uploads(key))) == 1
    run("--older=0s", "--abort")
    assert list(driver.bucket.iter_uploads(key)) == []


def test_a_wrong_use_is_one_line(tmp_path, config):
    """Another driver, and an age that is none."""
    file = tmp_path / "other.yml"
    file.write_text("version: 0.1\nstorage: {inmemory: {}}\n")
    for arguments in ([str(file)], [config, "--older", "long"]):
        done = CliRunner().invoke(multiparts, arguments)
        assert done.exit_code == 1
        assert len(done.output.splitlines()) == 1
