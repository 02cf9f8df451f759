"""The section ``storage.gcs``, and the distribution."""

from __future__ import annotations

import json

import pytest
from flaskreg_gcs import make_gcs
from flaskreg_gcs.parameters import KEYS
from flaskreg_gcs.parameters import UNIT
from flaskreg_gcs.parameters import read_parameters

from flaskreg.config import ConfigError
from flaskreg.testing import PluginTests


class TestGcsPlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "gcs"
    distribution = "flaskreg-gcs"
    parameters = KEYS

    def valid_parameters(self, name):
        """Return the parameter that has to be there."""
        del name
        return {"bucket": "registry"}


def test_defaults():
    """They are distribution's."""
    read = read_parameters({"bucket": "registry"})
    assert (read.chunksize, read.maxconcurrency, read.account) == (16 << 20, 50, None)
    assert read_parameters({"bucket": "r-1", "maxconcurrency": 3}).maxconcurrency == 25
    assert read_parameters({"bucket": "r-1", "chunksize": str(UNIT)}).chunksize == UNIT


def test_a_service_account(account, tmp_path):
    """In a file, or in the configuration itself."""
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    for given in ({"keyfile": str(file)}, {"credentials": account}):
        read = read_parameters({"bucket": "registry", **given})
        assert read.account.service_account_email == account["client_email"]
        assert "PRIVATE" not in repr(read)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"bucket": None}, "storage.gcs.bucket"),
        ({"bucket": "A B"}, "storage.gcs.bucket"),
        ({"rootdirectory": "a b"}, "storage.gcs.rootdirectory"),
        ({"chunksize": UNIT - 1}, "storage.gcs.chunksize"),
        ({"chunksize": UNIT + 1}, "storage.gcs.chunksize"),
        ({"chunksize": "x"}, "storage.gcs.chunksize"),
        ({"maxconcurrency": "x"}, "storage.gcs.maxconcurrency"),
        ({"maxconcurrency": True}, "storage.gcs.maxconcurrency"),
        ({"useragent": "a\nb"}, "storage.gcs.useragent"),
        ({"keyfile": "/missing"}, "storage.gcs.keyfile"),
        ({"credentials": "x"}, "storage.gcs.credentials"),
        ({"credentials": {"private_key": "canary"}}, "storage.gcs.credentials"),
        ({"bucke": "a"}, "did you mean storage.gcs.bucket"),
    ],
)
def test_wrong_parameters_are_named(change, named):
    """In one line, that holds no secret."""
    with pytest.raises(ConfigError) as caught:
        make_gcs({"bucket": "registry", **change})
    assert named in str(caught.value)
    assert "canary" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_broken_private_key_is_not_told(account):
    """Neither it nor what the parser says of it."""
    broken = {**account, "private_key": "-----BEGIN PRIVATE KEY-----\ncanary\n"}
    with pytest.raises(ConfigError) as caught:
        make_gcs({"bucket": "registry", "credentials": broken})
    assert "canary" not in str(caught.value)
