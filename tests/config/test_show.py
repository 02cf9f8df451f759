"""What is shown loads again, says where it came from, and holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flaskreg.config import load_settings
from flaskreg.config.secrets import SECRET_WORDS
from flaskreg.config.secrets import masked
from flaskreg.config.show import render_settings

from .conftest import Load
from .samples import PATIENT
from .samples import leaves
from .samples import nested
from .samples import sample
from .test_keys import merged


HEAD = "version: 0.1\nstorage: inmemory\n"
CANARY = "canary-8731"
LEAVES = list(leaves())
SECRETS = [name for name, key in LEAVES if key.shape.secret]


def shown(load: Load, text: str, **environ: str) -> list[str]:
    rendered = render_settings(load(text, **environ), origins=True)
    return [line.strip() for line in rendered.splitlines()]


def test_everything_that_is_shown_loads_again(load: Load, tmp_path: Path) -> None:
    settings = load(
        HEAD + "log: {hooks: [{type: mail, options: {to: [a, b]}}, {levels: []}]}\n"
        "manifests: {options: [a, {b: {c: 5}}]}\n"
        "http: {idletimeout: 1500ms, headers: {X-A: ['yes', '5']}}\n"
        'redis: {username: "a\\nb # c", clientname: "x: y"}\n'
        "proxy: {exec: {lifetime: 0}}\n",
    )
    for origins in (True, False):
        text = render_settings(settings, origins=origins)
        again = load_settings(_written(tmp_path, text), {})
        assert again.model_dump() == settings.model_dump()


@pytest.mark.parametrize("name", [it for it, key in LEAVES if not key.shape.secret])
def test_every_key_is_shown_as_it_was_set(
    load: Load, tmp_path: Path, name: str
) -> None:
    key = dict(LEAVES)[name]
    settings = load(merged(nested(name, sample(name, key)[0])))
    again = load_settings(
        _written(tmp_path, render_settings(settings, origins=True)), {}
    )
    assert again.model_dump() == settings.model_dump()


@PATIENT
@given(st.dictionaries(st.text(), st.text() | st.none() | st.integers(), max_size=4))
def test_any_map_is_printed_as_yaml(fields: dict[str, object]) -> None:
    settings = load_settings(environ={})
    log = settings.log.model_copy(update={"fields": fields})
    text = render_settings(settings.model_copy(update={"log": log}), origins=True)
    assert yaml.safe_load(text)["log"]["fields"] == masked(fields)


def _written(folder: Path, text: str) -> Path:
    path = folder / "shown.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_origin_of_each_value_is_shown(load: Load, tmp_path: Path) -> None:
    lines = shown(
        load,
        "version: 0.1\nstorage:\n  s3:\n    bucket: b\nhttp: {threads: 4}\n",
        REGISTRY_STORAGE_S3_REGION="r",
        REGISTRY_LOG_HOOKS_0_TYPE="mail",
    )
    assert f"bucket: b  # {tmp_path}/config.yml:4" in lines
    assert "region: r  # REGISTRY_STORAGE_S3_REGION" in lines
    assert f"threads: 4  # {tmp_path}/config.yml:5" in lines
    assert "type: mail  # REGISTRY_LOG_HOOKS_0_TYPE" in lines
    assert "addr: :5000  # default" in lines


def test_an_old_name_keeps_its_origin(load: Load) -> None:
    lines = shown(load, HEAD, REGISTRY_LOGLEVEL="debug")
    assert "level: debug  # REGISTRY_LOGLEVEL" in lines


@pytest.mark.parametrize("name", SECRETS)
def test_typed_secrets_are_masked(load: Load, name: str) -> None:
    settings = load(merged(nested(name, CANARY)))
    text = render_settings(settings, origins=True)
    assert CANARY not in text
    assert "'***'" in text
    assert CANARY not in repr(settings)


@pytest.mark.parametrize(
    "word", [*SECRET_WORDS, "secretKey", "proxy-authorization", "x_auth_token"]
)
@pytest.mark.parametrize(
    "text",
    [
        "storage: {x: {%s: %s}}",
        "storage: {x: {a: [{%s: [%s]}]}}",
        "storage: {x: {%s: {a: %s}}}",
        "auth: {x: {%s: %s}}",
        "middleware: {storage: [{name: x, options: {%s: %s}}]}",
        "notifications: {endpoints: [{headers: {%s: [%s]}}]}",
        "manifests: {options: [{x: {%s: %s}}]}",
        "http: {headers: {%s: [%s]}}",
    ],
)
def test_untyped_secrets_are_masked(load: Load, word: str, text: str) -> None:
    head = "version: 0.1\n" if text.startswith("storage") else HEAD
    settings = load(head + text % (word, CANARY))
    assert CANARY not in render_settings(settings, origins=True)
    assert CANARY not in repr(settings)


def test_passwords_in_urls_are_masked(load: Load) -> None:
    text = f"proxy: {{remoteurl: 'https://me:{CANARY}@r.example.com/x'}}"
    rendered = render_settings(load(HEAD + text), origins=True)
    assert "remoteurl: https://me:***@r.example.com/x" in rendered


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_of_the_wrong_type_is_not_told(
    load: Load, name: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as caught:
        load(merged(nested(name, [CANARY])))
    assert CANARY not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_what_is_no_secret_is_shown(load: Load) -> None:
    lines = shown(load, "version: 0.1\nstorage: {x: {token_uri: u, secret: ''}}")
    assert any(line.startswith("token_uri: u ") for line in lines)
    assert any(line.startswith("secret: '' ") for line in lines)
