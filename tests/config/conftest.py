"""Ways to load settings from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flaskreg.config import Settings
from flaskreg.config import load_settings


Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings from the text of a file and variables given by keyword."""

    def load(text: str = "version: 0.1\nstorage: inmemory\n", **environ: str):
        path = tmp_path / "config.yml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path, environ)

    return load


@pytest.fixture
def fails(load: Load, tmp_path: Path) -> Callable[..., str]:
    """Load settings that are wrong, and return the error without the folder."""

    def fails(text: str = "version: 0.1\nstorage: inmemory\n", **environ: str) -> str:
        with pytest.raises(ValueError) as caught:
            load(text, **environ)
        message = str(caught.value)
        assert type(caught.value).__name__ == "ConfigError"
        assert "\n" not in message
        return message.replace(f"{tmp_path}/", "")

    return fails
