"""The section ``storage.azure``, and the distribution."""

from __future__ import annotations

import pytest
from flaskreg_azure import make_azure
from flaskreg_azure.parameters import KEYS
from flaskreg_azure.parameters import read_parameters

from flaskreg.config import ConfigError
from flaskreg.testing import PluginTests


VALID = {"accountname": "name", "accountkey": "a2V5", "container": "registry"}
SECRET = {"type": "client_secret", "clientid": "c", "tenantid": "t", "secret": "canary"}


class TestAzurePlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "azure"
    distribution = "flaskreg-azure"
    parameters = KEYS

    def valid_parameters(self, name):
        """Return the parameters that have to be there."""
        del name
        return VALID


def test_defaults():
    """They are distribution's."""
    read = read_parameters(VALID)
    assert read.service == "https://name.blob.core.windows.net"
    assert (read.max_retries, read.retry_delay, read.skipverify) == (5, 0.1, False)


@pytest.mark.parametrize(
    ("change", "service"),
    [
        ({"realm": "core.chinacloudapi.cn"}, "https://name.blob.core.chinacloudapi.cn"),
        ({"serviceurl": "http://127.0.0.1:1/name/"}, "http://127.0.0.1:1/name"),
        ({"serviceurl": ""}, "https://name.blob.core.windows.net"),
    ],
)
def test_the_service(change, service):
    """An account in another cloud, or another server."""
    assert read_parameters({**VALID, **change}).service == service


def test_a_connection_string_is_heeded():
    """What stands beside it goes first."""
    text = (
        "DefaultEndpointsProtocol=https;AccountName=other;AccountKey=b3RoZXI=;"
        "EndpointSuffix=core.usgovcloudapi.net"
    )
    read = read_parameters({"connectionstring": text, "container": "registry"})
    assert (read.accountname, read.accountkey) == ("other", "b3RoZXI=")
    assert read.service == "https://other.blob.core.usgovcloudapi.net"
    assert read_parameters({**VALID, "connectionstring": text}).accountname == "name"


@pytest.mark.parametrize(
    ("credentials", "key"),
    [
        (SECRET, ""),
        ({"type": "default_credentials"}, ""),
        ({"type": "shared_key"}, "a2V5"),
    ],
)
def test_credentials(credentials, key):
    """A key is needed by the kind that is one."""
    given = {"accountname": "name", "container": "registry", "credentials": credentials}
    if key:
        given["accountkey"] = key
    assert read_parameters(given).accountkey == key
    make_azure(given).close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"accountname": None}, "storage.azure.accountname"),
        ({"accountkey": None}, "storage.azure.accountkey"),
        ({"accountkey": "canary!"}, "storage.azure.accountkey"),
        ({"container": None}, "storage.azure.container"),
        ({"container": "A_B"}, "storage.azure.container"),
        ({"rootdirectory": "a b"}, "storage.azure.rootdirectory"),
        ({"serviceurl": "name"}, "storage.azure.serviceurl"),
        ({"max_retries": -2}, "storage.azure.max_retries"),
        ({"max_retries": "x"}, "storage.azure.max_retries"),
        ({"retry_delay": "x"}, "storage.azure.retry_delay"),
        ({"retry_delay": 5}, "storage.azure.retry_delay"),
        ({"skipverify": "x"}, "storage.azure.skipverify"),
        ({"connectionstring": "x"}, "storage.azure.connectionstring"),
        ({"credentials": "x"}, "storage.azure.credentials"),
        ({"credentials": {"type": "default"}}, "storage.azure.credentials.type"),
        ({"credentials": {**SECRET, "secret": ""}}, "storage.azure.credentials.secret"),
        ({"credentials": {**SECRET, "clientd": ""}}, "did you mean"),
        ({"acountname": "a"}, "did you mean storage.azure.accountname"),
    ],
)
def test_wrong_parameters_are_named(change, named):
    """In one line, that holds no secret."""
    with pytest.raises(ConfigError) as caught:
        make_azure({**VALID, **change})
    assert named in str(caught.value)
    assert "canary" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_no_secret_is_shown():
    """By whoever prints the parameters."""
    shown = repr(read_parameters({**VALID, "accountkey": "Y2FuYXJ5"}))
    shown += repr(read_parameters({**VALID, "credentials": SECRET}))
    assert "Y2FuYXJ5" not in shown
    assert "canary" not in shown
