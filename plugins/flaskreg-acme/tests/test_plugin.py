"""What is installed, what it makes of its section, and what its README says."""

import os
import stat

import pytest
from flaskreg_acme.parameters import LETS_ENCRYPT
from flaskreg_acme.parameters import Parameters
from flaskreg_acme.tls import AcmeTls

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config.tls import LetsEncrypt
from flaskreg.plugins import make_plugin_manager
from flaskreg.testing import PluginTests


class TestPlugin(PluginTests):
    """What every plugin distribution promises."""

    plugin_name = "acme"
    distribution = "flaskreg-acme"
    parameters = ("cachefile", "email", "hosts", "directoryurl")


def make_tls(tls):
    """Return what the hook makes of a section ``http.tls``."""
    settings = Settings.model_validate({"http": {"tls": tls}})
    hook = make_plugin_manager().hook
    return hook.flaskreg_make_tls(settings=settings, protocols=["http/1.1"])


def test_the_folder_is_made_for_its_owner_alone(tmp_path):
    cachefile = tmp_path / "a" / "certificates"
    section = {"cachefile": str(cachefile), "hosts": ["registry.example"]}
    assert isinstance(make_tls({"letsencrypt": section}), AcmeTls)
    assert stat.S_IMODE(cachefile.stat().st_mode) == 0o700
    assert os.listdir(cachefile) == []


def test_files_of_the_configuration_are_left_to_the_core():
    """As without this plugin."""
    with pytest.raises(ConfigError, match=r"http\.tls: /none\.pem"):
        make_tls({"certificate": "/none.pem", "key": "/none.key"})
    with pytest.raises(ConfigError, match=r"http\.tls\.certificate: is required"):
        make_tls({"letsencrypt": {"hosts": ["registry.example"]}})


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    section = {"cachefile": f"{tmp_path}/file/x", "hosts": ["registry.example"]}
    with pytest.raises(ConfigError, match=r"letsencrypt\.cachefile: .*file/x") as told:
        make_tls({"letsencrypt": section})
    assert "\n" not in str(told.value)


def parameters_of(**section):
    return Parameters.of(LetsEncrypt(cachefile="/x", **section))


def test_the_section_as_it_is_used():
    """Names are of any case, and the server is Let's Encrypt's unless another is."""
    found = parameters_of(hosts=["Registry.Example", "registry.example", "b.example"])
    assert found.hosts == ("registry.example", "b.example")
    assert found.directory == LETS_ENCRYPT
    url = "https://ca.example/directory"
    assert parameters_of(hosts=["a"], directoryurl=url).directory == url


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*.registry.example",
        "registry.example:443",
        "https://registry.example",
        "registry_a.example",
        "registry.example.",
        "../etc",
        "a/b",
        "-a.example",
        "10.0.0.1",
        "[::1]",
        "bücher.example",
        "acme_account+key",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
    ],
)
def test_what_is_no_host_name_is_refused(host):
    """It would be the name of a file, and of nobody."""
    with pytest.raises(ConfigError, match=r"letsencrypt\.hosts: ") as told:
        parameters_of(hosts=["registry.example", host])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({}, r"letsencrypt\.hosts: must list"),
        ({"hosts": ["a"], "directoryurl": "http://ca.example/"}, "directoryurl"),
        ({"hosts": ["a"], "directoryurl": "ca.example"}, "directoryurl"),
    ],
)
def test_what_cannot_work_is_refused(section, named):
    with pytest.raises(ConfigError, match=named):
        parameters_of(**section)
