"""S3 servers, one of each kind for all tests of a run."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import pytest
from flaskreg_s3 import make_s3
from flaskreg_s3.testing import chosen
from flaskreg_s3.testing import running


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Return a callable that starts a kind of server when it is first asked for."""
    started = {}
    with ExitStack() as stack:

        def start(kind):
            if kind not in started:
                folder = tmp_path_factory.mktemp(kind)
                started[kind] = stack.enter_context(running(kind, folder))
            return started[kind]

        yield start


@pytest.fixture(params=chosen())
def server(request, start_server):
    """Return a running server, each kind in turn."""
    return start_server(request.param)


@pytest.fixture
def root():
    """Return a directory of the bucket that nothing is in."""
    return f"/{uuid.uuid4()}"


@pytest.fixture
def make_place(server, root):
    """Return a callable that makes drivers of one place in the bucket."""
    made = []

    def make(**parameters):
        given = server.parameters(root, **parameters)
        made.append(make_s3("storage.s3", given))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def make_driver(make_place):
    """Return the same; a suite has a fixture of this name."""
    return make_place


@pytest.fixture
def driver(make_driver):
    """Return a driver of an empty place."""
    return make_driver()
