"""A key whose feature comes later is named when it is set, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from flaskreg.config import Settings
from flaskreg.config.later import LATER
from flaskreg.config.later import entry_for
from flaskreg.config.shapes import iter_keys

from .conftest import Load
from .samples import leaves
from .samples import nested
from .samples import sample
from .test_keys import merged


USED = (
    "auth",
    "catalog",
    "health",
    "http.addr",
    "http.debug",
    "http.draintimeout",
    "http.gracefultimeout",
    "http.headers",
    "http.host",
    "http.idletimeout",
    "http.net",
    "http.prefix",
    "http.relativeurls",
    "http.reservedthreads",
    "http.secret",
    "http.http2",
    "http.threads",
    "http.tls.certificate",
    "http.tls.ciphersuites",
    "http.tls.clientauth",
    "http.tls.clientcas",
    "http.tls.key",
    "http.tls.minimumtls",
    "http.trustedproxies",
    "http.workers",
    "log",
    "loglevel",
    "manifests",
    "middleware",
    "notifications",
    "plugins",
    "policy",
    "proxy",
    "redis",
    "referrers",
    "storage.cache",
    "storage.delete",
    "storage.maintenance",
    "storage.redirect",
    "storage.scope",
    "storage.tag",
    "tags",
    "uploads",
    "validation",
    "version",
)
"""Keys, and sections of keys, that do what they say."""


def used(name: str) -> bool:
    plain = name.replace("[]", "")
    return any(f"{plain}.".startswith(f"{it}.") for it in USED)


LEAVES = list(leaves())
WAITING = [(name, key) for name, key in LEAVES if not used(name)]


@pytest.mark.parametrize("name", [name for name, _key in LEAVES])
def test_every_key_is_either_used_or_comes_later(name: str) -> None:
    assert used(name) is not (entry_for(name) is not None)


@pytest.mark.parametrize("name", [*USED, *(entry.key for entry in LATER)])
def test_the_tables_name_keys_that_exist(name: str) -> None:
    assert name in {known for known, _key in iter_keys(Settings)}


@pytest.mark.parametrize(("name", "key"), WAITING, ids=[name for name, _ in WAITING])
def test_a_key_that_comes_later_is_named(load: Load, name: str, key: Any) -> None:
    harmless: tuple[str, ...] = ()
    entry = entry_for(name)
    assert entry is not None
    lines = load(merged(nested(name, sample(name, key)[0]))).later()
    line = f"{entry.key}: accepted, but has no effect yet: {entry.sentence}"
    assert (line in lines) is (name not in harmless)


@pytest.mark.parametrize("name", [name for name, _key in LEAVES if used(name)])
def test_a_key_that_is_used_is_not_named(load: Load, name: str) -> None:
    key = dict(LEAVES)[name]
    assert load(merged(nested(name, sample(name, key)[0]))).later() == []


@pytest.mark.parametrize(
    "text",
    [
        "log: {formatter: text, fields: {}, hooks: []}",
        "health: {storagedriver: {enabled: false}}",
        "http: {http2: {disabled: true}, debug: {}}",
    ],
)
def test_what_asks_for_nothing_is_not_named(load: Load, text: str) -> None:
    assert load("version: 0.1\nstorage: inmemory\n" + text).later() == []
