"""Each rule of distribution's parser, and each of our own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config import load_settings

from .conftest import Load
from .samples import PATIENT


Fails = Callable[..., str]
HEAD = "version: 0.1\nstorage: inmemory\n"

CONFIG_DEV = """
version: 0.1
log:
  fields:
    service: registry
storage:
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
  maintenance:
    uploadpurging:
      enabled: false
  tag:
    concurrencylimit: 8
http:
  addr: :5000
  debug:
    addr: :5001
    prometheus:
      enabled: true
      path: /metrics
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""


def test_the_configuration_of_distributions_image_loads(load: Load) -> None:
    settings = load(CONFIG_DEV)
    assert settings.storage.driver == "filesystem"
    assert settings.storage.parameters == {"rootdirectory": "/var/lib/registry"}
    assert settings.storage.delete.enabled
    assert settings.storage.cache.blobdescriptor == "inmemory"
    assert settings.storage.tag.concurrencylimit == 8
    assert not settings.storage.maintenance.uploadpurging.enabled
    assert settings.http.addr == ":5000"
    assert settings.http.debug.addr == ":5001"
    assert settings.http.headers == {"X-Content-Type-Options": ["nosniff"]}
    assert settings.health.storagedriver.interval == 10.0
    assert settings.health.storagedriver.threshold == 3
    assert settings.warnings == ()


def test_without_any_configuration_content_is_beside_the_process() -> None:
    settings = load_settings(environ={})
    assert settings.storage.driver == "filesystem"
    assert settings.storage.parameters == {"rootdirectory": "./registry-data"}
    assert settings.http.addr == ":5000"
    assert settings.auth.controller == "none"
    assert settings.warnings == ()


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(HEAD)
    settings = load_settings(environ={"REGISTRY_CONFIGURATION_PATH": str(path)})
    assert settings.storage.driver == "inmemory"
    assert settings.warnings == ()


def test_an_argument_wins_over_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(HEAD)
    environ = {"REGISTRY_CONFIGURATION_PATH": str(tmp_path / "missing.yml")}
    assert load_settings(path, environ).storage.driver == "inmemory"


def test_the_environment_of_the_process_holds_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGISTRY_TAGS_MAXTAGS", "7")
    assert load_settings().tags.maxtags == 7


@pytest.mark.parametrize("version", ["", "version: 0.2", "version: [0.1]", "version:"])
def test_a_file_needs_version_0_1(fails: Fails, version: str) -> None:
    message = fails(f"{version}\nstorage: inmemory\n")
    assert message.startswith("unsupported version: ")
    assert "must be 0.1" in message


@pytest.mark.parametrize("version", ["0.1", '"0.1"', "'0.1'"])
def test_the_version_may_be_quoted(load: Load, version: str) -> None:
    assert load(f"version: {version}\nstorage: inmemory").version == "0.1"


@pytest.mark.parametrize("storage", ["", "storage:", "storage: {}", "storage: {tag: }"])
def test_a_file_needs_a_driver(fails: Fails, storage: str) -> None:
    text = f"version: 0.1\n{storage}\n"
    assert fails(text) == "no storage configuration provided"


def test_the_environment_may_name_the_driver_of_a_file(load: Load) -> None:
    assert load("version: 0.1", REGISTRY_STORAGE="inmemory").storage.driver


@pytest.mark.parametrize("storage", ["inmemory", "{inmemory: }", "{inmemory: {}}"])
def test_a_driver_may_be_named_alone(load: Load, storage: str) -> None:
    settings = load(f"version: 0.1\nstorage: {storage}")
    assert settings.storage.driver == "inmemory"
    assert settings.storage.parameters == {}


def test_two_drivers_are_refused(fails: Fails) -> None:
    message = fails("version: 0.1\nstorage: {s3: {}, filesystem: {}}")
    expected = "must provide exactly one storage type. Provided: [filesystem s3]"
    assert expected in message


def test_a_mistyped_key_beside_a_driver_is_guessed(fails: Fails) -> None:
    message = fails("version: 0.1\nstorage: {inmemory: , delet: {enabled: true}}")
    assert "did you mean storage.delete by storage.delet?" in message


def test_two_access_controllers_are_refused(fails: Fails) -> None:
    message = fails(HEAD + "auth: {silly: {}, token: {}}")
    assert "must provide exactly one type. Provided: [silly token]" in message


def test_parameters_must_be_a_map(fails: Fails) -> None:
    message = fails("version: 0.1\nstorage: {filesystem: /var/lib}")
    expected = "storage.filesystem: must be a map of parameters (config.yml:2)"
    assert message == expected


@pytest.mark.parametrize(
    "auth", ["", "auth:", "auth: {}", "auth: none", "auth: {none}"]
)
def test_no_access_controller_is_none(load: Load, auth: str) -> None:
    assert load(HEAD + auth).auth.controller == "none"


def test_none_is_none_in_any_case(load: Load) -> None:
    assert load(HEAD + "auth: None").auth.controller == "none"


def test_an_access_controller_keeps_its_parameters(load: Load) -> None:
    auth = load(HEAD + "auth: {htpasswd: {realm: r, path: /p}}").auth
    assert auth.controller == "htpasswd"
    assert auth.parameters == {"realm": "r", "path": "/p"}


def test_parameters_have_the_types_of_yaml(load: Load) -> None:
    text = "version: 0.1\nstorage: {s3: {a: yes, b: 5, c: x, d: {e: [1.5, ~]}}}"
    expected = {"a": True, "b": 5, "c": "x", "d": {"e": [1.5, None]}}
    assert load(text).storage.parameters == expected


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("", "info"),
        ("loglevel: debug", "debug"),
        ("loglevel: debug\nlog: {level: warn}", "warn"),
        ("loglevel: debug\nlog: {formatter: text}", "debug"),
        ("loglevel: debug\nlog:", "debug"),
        ("loglevel: debug\nlog: {level: ''}", "debug"),
        ("log: {level: ERROR}", "error"),
    ],
)
def test_loglevel_is_the_old_name_of_log_level(
    load: Load, text: str, level: str
) -> None:
    settings = load(HEAD + text)
    assert settings.log.level == level
    assert settings.loglevel is None


def test_layerinfo_is_the_old_name_of_blobdescriptor(load: Load) -> None:
    cache = load("version: 0.1\nstorage: {inmemory: , cache: {layerinfo: x}}")
    assert cache.storage.cache.blobdescriptor == "x"


@pytest.mark.parametrize(("given", "value"), [(-1, 1000), (0, 1000), (5, 5)])
def test_catalog_entries(load: Load, given: int, value: int) -> None:
    settings = load(HEAD + f"catalog: {{maxentries: {given}}}")
    assert settings.catalog.maxentries == value


@pytest.mark.parametrize(("given", "value"), [(0, 1000), (5, 5)])
def test_tags(load: Load, given: int, value: int) -> None:
    assert load(HEAD + f"tags: {{maxtags: {given}}}").tags.maxtags == value


def test_a_negative_number_of_tags_is_refused(fails: Fails) -> None:
    message = fails(HEAD + "tags: {maxtags: -1}")
    assert "maxtags limit must be a non-negative integer value" in message


@pytest.mark.parametrize(
    ("text", "active"),
    [
        ("", True),
        ("{disabled: true}", False),
        ("{enabled: true, disabled: true}", True),
        ("{enabled: false}", True),
        ("{enabled: false, disabled: true}", False),
    ],
)
def test_validation_is_active(load: Load, text: str, active: bool) -> None:
    assert load(HEAD + f"validation: {text}").validation.active is active


@pytest.mark.parametrize("word", ["yes", "on", "True", "true", "Y"])
def test_booleans_are_those_of_yaml_1_1(load: Load, word: str) -> None:
    assert load(HEAD + f"log: {{reportcaller: {word}}}").log.reportcaller


@pytest.mark.parametrize("text", ["0123", "1_000", "yes", "1e5", "22:30", "2020-01-01"])
def test_text_is_read_as_it_is_written(load: Load, text: str) -> None:
    settings = load(HEAD + f"http: {{secret: {text}}}")
    assert settings.http.secret is not None
    assert settings.http.secret.get_secret_value() == text


def test_a_bare_integer_is_nanoseconds_and_warned_about(load: Load) -> None:
    settings = load(HEAD + "http: {draintimeout: 60}")
    assert settings.http.draintimeout == 60e-9
    assert "write 60s for seconds" in settings.warnings[0]
    whole = load(HEAD + "http: {draintimeout: 60000000000}")
    assert (whole.http.draintimeout, whole.warnings) == (60.0, ())


def test_the_age_of_uploads_needs_a_unit(fails: Fails) -> None:
    purging = "{maintenance: {uploadpurging: {age: 168}}, inmemory: }"
    message = fails(f"version: 0.1\nstorage: {purging}")
    assert 'uploadpurging.age: "168": must be a duration with a unit' in message


@pytest.mark.parametrize(
    ("prefix", "normalised"),
    [("", "/"), ("/", "/"), ("a", "/a/"), ("/a/b", "/a/b/"), ("//a//", "/a/")],
)
def test_a_prefix_begins_and_ends_with_a_slash(
    load: Load, prefix: str, normalised: str
) -> None:
    assert load(HEAD + f"http: {{prefix: '{prefix}'}}").http.prefix == normalised


@pytest.mark.parametrize(
    ("entries", "options"),
    [
        ("[]", []),
        ("[size]", [("size", {})]),
        ("[{size: }]", [("size", {})]),
        ("[{size: {maxbytes: 5}}, urls]", [("size", {"maxbytes": 5}), ("urls", {})]),
    ],
)
def test_manifest_options(load: Load, entries: str, options: list[Any]) -> None:
    found = load(HEAD + f"manifests: {{options: {entries}}}").manifests.options
    assert found is not None
    assert [(it.name, it.parameters) for it in found] == options


@pytest.mark.parametrize("entry", ["5", "{a: , b: }", "{a: 5}", "[a]", "''"])
def test_other_manifest_options_are_refused(fails: Fails, entry: str) -> None:
    message = fails(HEAD + f"manifests: {{options: [{entry}]}}")
    assert message.startswith("manifests.options[0]: ")
    assert "must be the name of a manifest option" in message


@pytest.mark.parametrize(
    ("threads", "reserved"), [("", 8), ("threads: 4", 2), ("threads: 1", 0)]
)
def test_reserved_threads_follow_the_threads(
    load: Load, threads: str, reserved: int
) -> None:
    assert load(HEAD + f"http: {{{threads}}}").http.reservedthreads == reserved


@pytest.mark.parametrize("name", ["timeout", "backoff"])
@pytest.mark.parametrize("value", ["0s", "-5s"])
def test_an_endpoint_waits_a_second_at_least(load: Load, name: str, value: str) -> None:
    settings = load(HEAD + f"notifications: {{endpoints: [{{{name}: {value}}}]}}")
    assert getattr(settings.notifications.endpoints[0], name) == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http: {relativeurls: maybe}", 'relativeurls: "maybe": must be true or false'),
        ("http: {threads: 1.5}", "http.threads: 1.5: must be a whole number"),
        ("http: {threads: 0}", "http.threads: 0: must be at least 1"),
        ("http: {threads: x}", 'http.threads: "x": must be a whole number'),
        ("http: {threads: []}", "http.threads: []: must be a whole number"),
        ("http: {net: udp}", 'http.net: "udp": must be tcp or unix'),
        ("http: {net: unix}", "http.addr must be a path when http.net is unix"),
        ("http: {addr: 5000}", 'http.addr must be "host:port"'),
        ("http: {addr: ':99999'}", 'http.addr must be "host:port"'),
        ("http: {host: r.example.com}", "must be a URL with scheme and host"),
        ("http: {draintimeout: 5 s}", "must be a duration with a unit"),
        ("http: {draintimeout: -5s}", "must be at least 0"),
        ("http: {draintimeout: .inf}", "must be a duration with a unit"),
        ("http: {headers: [a]}", 'http.headers: ["a"]: must be a map'),
        ("http: {headers: {'a b': [c]}}", "is no header name"),
        ('http: {headers: {a: ["b\\nc"]}}', "header a must be one line"),
        ("http: {trustedproxies: [x]}", 'trustedproxies[0]: "x": must be an IP'),
        ("http: {tls: {minimumtls: tls1.0}}", "must be tls1.2 or tls1.3"),
        ("http: {tls: {clientcas: /a}}", 'clientcas: "/a": must be a list'),
        ("http: {reservedthreads: 256}", "reservedthreads must be less than"),
        ("http: 5", "http: 5: must be a map of keys"),
        ("http: [a]", 'http: ["a"]: must be a map of keys'),
        ("storage: [a]", 'storage: ["a"]: must be a map of keys'),
        ("log: {formatter: xml}", "unsupported logging formatter"),
        ("log: {level: loud}", "must be error, warn, info or debug"),
        ("log: {fields: x}", 'log.fields: "x": must be a map'),
        ("middleware: {storage: [{}]}", "middleware.storage[0].name: is required"),
        ("validation: {manifests: {urls: {allow: ['(']}}}", 'allow[0]: "(": must be'),
        ("uploads: {chunkminlength: 0}", "must be at least 1"),
        ("redis: {addrs: [[a]]}", 'redis.addrs[0]: ["a"]: must be text'),
    ],
)
def test_a_wrong_value_is_named(fails: Fails, text: str, message: str) -> None:
    head = "version: 0.1\n" if text.startswith("storage") else HEAD
    found = fails(head + text)
    assert message in found
    assert "(config.yml:" in found


def test_a_scope_has_no_empty_globs(fails: Fails) -> None:
    message = fails("version: 0.1\nstorage: {inmemory: , scope: ['']}")
    assert 'storage.scope[0]: "": must not be empty' in message


@pytest.mark.parametrize("name", ["compatibility", "reporting"])
def test_sections_of_distribution_2_end_in_a_warning(load: Load, name: str) -> None:
    (warning,) = load(HEAD + f"{name}: {{x: {{enabled: true}}}}").warnings
    assert warning.startswith(f"{name}: of distribution 2, has no effect")


def test_settings_are_frozen_and_picklable(load: Load) -> None:
    settings = load(CONFIG_DEV, REGISTRY_HTTP_SECRET="s", REGISTRY_NO="x")
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert copy.warnings == settings.warnings
    assert copy.origin("http.secret") == settings.origin("http.secret")
    with pytest.raises(ValidationError):
        settings.http.addr = ":1"  # type: ignore[misc]


def test_settings_are_made_without_a_file() -> None:
    settings = Settings.model_validate({"storage": {"driver": "inmemory"}})
    assert settings.storage.driver == "inmemory"
    assert settings.warnings == ()
    assert Settings().storage.driver == "filesystem"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["storage", "http", "auth", "tls", "a", "0", "level", "log"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


TREES = ANYTHING.map(lambda it: f"version: 0.1\nlog: {it!r}\nhttp: {it!r}")
SOME = ["HTTP", "HTTP_TLS", "STORAGE", "STORAGE_A", "LOG_HOOKS_0", "AUTH", "_", "A"]


@hypothesis_settings(
    PATIENT, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.text(st.characters(codec="utf-8")) | TREES,
    names=st.lists(st.sampled_from(SOME)),
    value=st.text(st.characters(exclude_characters="\x00")),
)
def test_anything_loads_or_is_refused_in_one_line(
    load: Load, text: str, names: list[str], value: str
) -> None:
    message = ""
    try:
        load(text, **{f"REGISTRY_{name}": value for name in names})
    except ConfigError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
