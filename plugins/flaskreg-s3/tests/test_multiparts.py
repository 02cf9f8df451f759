"""``flaskreg multiparts``, over real servers."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest
import yaml
from click.testing import CliRunner
from flaskreg_s3.commands import multiparts

from flaskreg.storage.paths import BLOBS
from flaskreg.upkeep.purger import Purger
from flaskreg.upkeep.purger import SteadyClock


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


def test_what_a_killed_push_left_is_purged(driver):
    """With the stale sessions, in time, and nothing else: what is stored stays."""
    blob, session = f"{BLOBS}/sha256/ab/data", "/docker/registry/v2/_uploads/1/data"
    driver.put_content(blob, b"content")
    keys = [driver.key(blob), driver.key(session)]
    for key in keys:
        driver.bucket.create_upload(key)

    def pending():
        found = [driver.bucket.iter_uploads(key) for key in keys]
        return [len(list(uploads)) for uploads in found]

    def purge(days, *, dry_run=False):
        later = datetime.now(UTC) + timedelta(days=days)
        clock = SteadyClock(later.timestamp, lambda: 0.0)
        Purger(
            driver, age=7 * 86400.0, interval=86400.0, dry_run=dry_run, clock=clock
        ).purge()
        return pending()

    assert purge(6) == [1, 1]
    assert purge(8, dry_run=True) == [1, 1]
    assert purge(9) == [0, 1]
    assert driver.get_content(blob) == b"content"


def test_a_wrong_use_is_one_line(tmp_path, config):
    """Another driver, and an age that is none."""
    file = tmp_path / "other.yml"
    file.write_text("version: 0.1\nstorage: {inmemory: {}}\n")
    for arguments in ([str(file)], [config, "--older", "long"]):
        done = CliRunner().invoke(multiparts, arguments)
        assert done.exit_code == 1
        assert len(done.output.splitlines()) == 1
