"""Receivers, and applications that tell them."""

from __future__ import annotations

import pytest
from receiver import Receiver

from flaskreg import create_app
from flaskreg.config import Settings


@pytest.fixture
def make_receiver():
    """Return a function that starts a receiver."""
    made = []

    def make(answer=None):
        receiver = Receiver(answer)
        made.append(receiver)
        return receiver

    yield make
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(make_receiver):
    """A receiver that takes everything."""
    return make_receiver()


@pytest.fixture
def make_app(tmp_path):
    """Return a function that makes an application with endpoints."""
    made = []

    def make(*endpoints, start=True, **notifications):
        settings = Settings.model_validate(
            {
                "storage": {
                    "driver": "filesystem",
                    "parameters": {"rootdirectory": str(tmp_path / "root")},
                    "delete": {"enabled": True},
                },
                "notifications": {
                    "endpoints": [{"backoff": "20ms", **each} for each in endpoints],
                    **notifications,
                },
            }
        )
        app = create_app(settings)
        if start:
            app.start()
        made.append(app)
        return app

    yield make
    for app in made:
        app.stop()
