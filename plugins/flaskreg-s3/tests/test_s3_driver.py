"""The public driver suite over real S3 servers."""

from __future__ import annotations

import pytest

from flaskreg.driver import PathNotFound
from flaskreg.testing import DriverTests
from flaskreg.testing.driver_fixtures import TOP
from flaskreg.testing.driver_fixtures import put_all
from flaskreg.testing.driver_fixtures import sweep


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


class TestS3Driver(DriverTests):
    """Everything that the contract of storage drivers promises."""

    supports_redirect = True
    large = True

    @pytest.fixture
    def make_driver(self, make_place):
        """Return a callable that makes drivers of one place in the bucket."""
        return make_place

    @pytest.fixture(autouse=True)
    def nothing_left_behind(self, driver, server):
        """Delete what the test made; SeaweedFS lists empty directories for a while."""
        yield
        sweep(driver)
        if server.kind != "seaweedfs":
            assert driver.list("/") == []
        assert self.leftovers(driver) == []

    def leftovers(self, driver):
        """Return all objects, locks among them, and all unfinished uploads."""
        objects = list(driver.bucket.iter_objects(driver.prefix))
        return objects + list(driver.bucket.iter_uploads(driver.prefix))

    def test_a_directory_goes_with_its_last_file(self, driver, server):
        """Nobody makes directories, and nobody has to delete them."""
        put_all(driver, "a/b/one", "c/two")
        driver.delete(f"{TOP}/a/b/one")
        driver.move(f"{TOP}/c/two", f"{TOP}/d/two")
        for path in (f"{TOP}/a/b", f"{TOP}/a", f"{TOP}/c"):
            with pytest.raises(PathNotFound):
                driver.stat(path)
        assert "d" in driver.list(TOP)
        if server.kind != "seaweedfs":
            assert driver.list(TOP) == ["d"]
