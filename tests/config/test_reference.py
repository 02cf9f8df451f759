"""The reference page is what the models say."""

from __future__ import annotations

from pathlib import Path

import flaskreg.config
from flaskreg.config import Settings
from flaskreg.config.reference import OURS
from flaskreg.config.reference import render_reference
from flaskreg.config.shapes import iter_keys

from .samples import leaves


PAGE = Path(flaskreg.config.__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_printed_from_the_models() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_reference()


def test_the_page_names_every_key() -> None:
    page = render_reference()
    assert [name for name, _key in leaves() if f"| `{name}`" not in page] == []


def test_our_own_keys_exist() -> None:
    assert set(OURS) <= {name for name, _key in iter_keys(Settings)}
