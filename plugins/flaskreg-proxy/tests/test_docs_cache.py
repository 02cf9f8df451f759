"""What the documentation says of caches is what the registry takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import PROJECT

from flaskreg.config import load_settings
from flaskreg.config.proxy import Proxy
from flaskreg.config.proxy import Upstream


PAGES = ("docs/cache.md", "plugins/flaskreg-proxy/README.md")
EXAMPLES = [
    (page, number, text)
    for page in PAGES
    for number, text in enumerate(
        re.findall(r"```yaml\n(.*?)```", (PROJECT / page).read_text(), re.DOTALL)
    )
]


@pytest.mark.parametrize(
    "text", [it[2] for it in EXAMPLES], ids=[f"{it[0]}-{it[1]}" for it in EXAMPLES]
)
def test_every_example_is_a_configuration(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yml"
    file.write_text(text)
    settings = load_settings(file, {})
    assert settings.proxy.configured
    assert settings.warnings == ()


def test_every_key_of_an_upstream_is_told_of() -> None:
    text = (PROJECT / "docs/cache.md").read_text()
    for name in {*Upstream.model_fields, *Proxy.model_fields} - {"library", "password"}:
        assert re.search(rf"\b{name}\b", text), name
