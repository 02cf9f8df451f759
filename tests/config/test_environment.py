"""``REGISTRY_`` variables: distribution's rules, and where ours go further."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flaskreg.config import ConfigError
from flaskreg.config import load_settings

from .conftest import Load


Fails = Callable[..., str]
HEAD = "version: 0.1\nstorage: inmemory\n"
PARSING = "parsing environment variable "


def test_variables_win_over_the_file(load: Load) -> None:
    text = HEAD + "http: {addr: ':1'}"
    assert load(text, REGISTRY_HTTP_ADDR=":2").http.addr == ":2"


def test_an_empty_variable_takes_a_value_back(load: Load) -> None:
    text = HEAD + "http: {host: 'https://r.example.com'}"
    assert load(text, REGISTRY_HTTP_HOST="").http.host == ""


@pytest.mark.parametrize(
    "name",
    [
        "REGISTRY_PORT_5000_TCP",
        "REGISTRY_HTTP_ADR",
        "REGISTRY_HTTP_ADDR_X",
        "REGISTRY_HTTP_TLS_CLIENTCAS_X",
        "REGISTRY_LOG_HOOKS_X_TYPE",
        "REGISTRY_HTTP_",
        "REGISTRY_",
        "REGISTRY__",
        "REGISTRY_STORAGE_",
        "REGISTRY_STORAGE__A",
        "REGISTRY_STORAGE_INMEMORY_",
        "REGISTRY_REDIS_OPTIONS",
        "REGISTRY_HTTP_\u0661",
    ],
)
def test_a_variable_without_a_key_ends_in_a_warning(load: Load, name: str) -> None:
    settings = load(**{name: "x"})
    assert settings.warnings == (f"Ignoring unrecognized environment variable {name}",)
    assert settings == load(**{name: "y"})


def test_other_variables_are_nobodys_business(load: Load) -> None:
    assert load(HOME="/", REGISTRYX="a", registry_http_addr="x").warnings == ()


def test_the_driver_of_no_file_gives_way_to_one_of_the_environment() -> None:
    settings = load_settings(environ={"REGISTRY_STORAGE_S3_BUCKET": "b"})
    assert settings.storage.driver == "s3"
    assert settings.storage.parameters == {"bucket": "b"}


def test_the_driver_of_no_file_takes_parameters() -> None:
    environ = {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/data"}
    settings = load_settings(environ=environ)
    assert settings.storage.parameters == {"rootdirectory": "/data"}


def test_two_drivers_of_the_environment_are_refused() -> None:
    environ = {"REGISTRY_STORAGE_S3_BUCKET": "b", "REGISTRY_STORAGE_GCS_BUCKET": "b"}
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=environ)
    assert str(caught.value) == (
        "multiple storage drivers specified in configuration or environment: gcs, s3"
    )


def test_a_driver_beside_that_of_the_file_is_refused(fails: Fails) -> None:
    assert fails(REGISTRY_STORAGE_S3_BUCKET="b") == (
        "multiple storage drivers specified in configuration or environment: "
        "inmemory, s3"
    )


def test_a_named_driver_replaces_the_section_and_takes_parameters(load: Load) -> None:
    settings = load(
        "version: 0.1\nstorage: {s3: {bucket: b}, delete: {enabled: true}}",
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="/data",
        REGISTRY_STORAGE="filesystem",
    )
    assert settings.storage.driver == "filesystem"
    assert settings.storage.parameters == {"rootdirectory": "/data"}
    assert not settings.storage.delete.enabled


def test_an_access_controller_is_named_and_takes_parameters(load: Load) -> None:
    settings = load(
        REGISTRY_AUTH="htpasswd",
        REGISTRY_AUTH_HTPASSWD_REALM="Registry Realm",
        REGISTRY_AUTH_HTPASSWD_PATH="/auth/htpasswd",
    )
    assert settings.auth.controller == "htpasswd"
    assert settings.auth.parameters == {
        "realm": "Registry Realm",
        "path": "/auth/htpasswd",
    }


def test_values_are_yaml(load: Load) -> None:
    settings = load(
        REGISTRY_LOG_FIELDS="{a: b}",
        REGISTRY_HTTP_TLS_CLIENTCAS="[/a, /b]",
        REGISTRY_HTTP_HEADERS="{X-A: [b]}",
        REGISTRY_HTTP_PREFIX='"quoted"',
        REGISTRY_STORAGE_INMEMORY_A="true",
        REGISTRY_STORAGE_INMEMORY_B="5",
    )
    assert settings.log.fields == {"a": "b"}
    assert settings.http.tls.clientcas == ["/a", "/b"]
    assert settings.http.headers == {"X-A": ["b"]}
    assert settings.http.prefix == "/quoted/"
    assert settings.storage.parameters == {"a": True, "b": 5}


@pytest.mark.parametrize("text", ["@x", "%x", "[x", "a: b", "{a}", "*x", "01"])
def test_text_that_is_no_yaml_scalar_is_text_all_the_same(
    load: Load, text: str
) -> None:
    secret = load(REGISTRY_HTTP_SECRET=text).http.secret
    assert secret is not None
    assert secret.get_secret_value() == text


def test_keys_of_maps_are_matched_in_any_case_and_else_lower_cased(load: Load) -> None:
    text = "version: 0.1\nstorage: {s3: {forcePathStyle: false}}"
    settings = load(
        text, REGISTRY_STORAGE_S3_FORCEPATHSTYLE="true", REGISTRY_STORAGE_S3_Bucket="b"
    )
    assert settings.storage.parameters == {"forcePathStyle": True, "bucket": "b"}


def test_maps_in_maps_are_made(load: Load) -> None:
    settings = load(REGISTRY_STORAGE_INMEMORY_CREDENTIALS_TYPE="x")
    assert settings.storage.parameters == {"credentials": {"type": "x"}}


@pytest.mark.parametrize(
    ("parameters", "name", "expected"),
    [
        ("{}", "MAX_RETRIES", {"max_retries": 7}),
        ("{a_b: 1}", "A_B", {"a_b": 7}),
        ("{a: {}, a_b: 1}", "A_B", {"a": {}, "a_b": 7}),
        ("{a_b: {c_d: 1}}", "A_B_C_D", {"a_b": {"c_d": 7}}),
        ("{}", "CREDENTIALS_PRIVATE_KEY_ID", {"credentials": {"private_key_id": 7}}),
        ("{}", "A_B", {"a": {"b": 7}}),
    ],
)
def test_keys_that_hold_underscores_are_reachable(
    load: Load, parameters: str, name: str, expected: object
) -> None:
    settings = load(
        f"version: 0.1\nstorage: {{x: {parameters}}}",
        **{f"REGISTRY_STORAGE_X_{name}": "7"},
    )
    assert settings.storage.parameters == expected


def test_lists_grow_one_by_one(load: Load) -> None:
    names = {f"REGISTRY_NOTIFICATIONS_ENDPOINTS_{i}_NAME": f"n{i}" for i in range(12)}
    endpoints = load(**names).notifications.endpoints
    assert [it.name for it in endpoints] == [f"n{i}" for i in range(12)]


def test_an_item_of_the_file_is_changed_in_place(load: Load) -> None:
    text = HEAD + "notifications: {endpoints: [{name: a, url: u}, {name: b}]}"
    changed = load(text, REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL="v")
    first, second = changed.notifications.endpoints
    assert (first.name, first.url, second.name) == ("a", "v", "b")


def test_items_of_untyped_lists_are_reachable(load: Load) -> None:
    text = "version: 0.1\nstorage: {x: {hosts: [a, b]}}"
    settings = load(text, REGISTRY_STORAGE_X_HOSTS_1="c")
    assert settings.storage.parameters == {"hosts": ["a", "c"]}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOG_HOOKS_1_TYPE", "mail", "undefined index 1: the list has 0 items so far"),
        ("HTTP_TLS_CLIENTCAS_3", "/a", "undefined index 3"),
        ("HTTP_RELATIVEURLS", "maybe", 'http.relativeurls: "maybe": must be true'),
        ("HTTP_RELATIVEURLS", "[a", "must be YAML; quote what is text"),
        ("STORAGE_INMEMORY_A", "@a", "must be YAML; quote what is text"),
        ("HTTP", "5", "http: 5: must be a map of keys"),
        ("LOG_FIELDS_A_B", "5", "what is set there already is not a map"),
        ("REDIS_ADDRS_0", "a", "what is set there already is not a list"),
    ],
)
def test_a_wrong_value_names_its_variable(
    fails: Fails, name: str, value: str, message: str
) -> None:
    text = HEAD + "log: {fields: {a: 1}}\nredis: {addrs: a}"
    found = fails(text, **{f"REGISTRY_{name}": value})
    assert found.startswith(f"{PARSING}REGISTRY_{name}: ")
    assert message in found


def test_a_section_that_is_no_map_is_not_written_over(fails: Fails) -> None:
    assert "is not a map" in fails(HEAD + "http: 5", REGISTRY_HTTP_ADDR=":1")


def test_the_credentials_of_clients_are_no_setting(load: Load) -> None:
    """An operator who uses skopeo has the variable set."""
    settings = load(REGISTRY_AUTH_FILE="/run/containers/0/auth.json")
    assert (settings.auth.controller, settings.auth.parameters) == ("none", {})
    assert any("REGISTRY_AUTH_FILE" in line for line in settings.warnings)
