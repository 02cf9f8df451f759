"""Metrics of one process: names, labels, numbers, and nothing when not asked for."""

from __future__ import annotations

import subprocess
import sys
import urllib.request

import flaskreg_prometheus
import pytest
from flaskreg_prometheus.metrics import HANDLERS
from flaskreg_prometheus.metrics import process_metrics
from flaskreg_prometheus.storage import MeasuredCache
from flaskreg_prometheus.storage import MeasuredDriver
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.defaults.memorycache import MemoryCache
from flaskreg.digest import Digest
from flaskreg.routes.endpoints import ENDPOINTS
from flaskreg.testing import DescriptorCacheTests
from flaskreg.testing import DriverTests
from flaskreg.testing import PluginTests


CONTENT = b"content" * 2000


def settings(*, enabled=True, cache="inmemory", **debug):
    """Return settings with a debug server at any port."""
    debug = {"addr": "127.0.0.1:0", "prometheus": {"enabled": enabled}, **debug}
    return Settings.model_validate(
        {
            "storage": {"driver": "inmemory", "cache": {"blobdescriptor": cache}},
            "http": {"debug": debug},
        }
    )


@pytest.fixture
def app():
    """Return an application whose debug server runs."""
    app = create_app(settings())
    app.start()
    while not app.background.debug.port:
        pass
    yield app
    app.background.stop()


def numbers(app):
    """Return each sample of the page, by its name and labels."""
    url = f"http://127.0.0.1:{app.background.debug.port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def push(client):
    """Push a blob and return its digest."""
    digest = Digest.of(CONTENT)
    response = client.post(f"/v2/a/blobs/uploads/?digest={digest}", data=CONTENT)
    assert response.status_code == 201
    return digest


def test_every_request_is_counted_once(app):
    """With its sizes, its time, and the error it ended in."""
    client = Client(app)
    digest = push(client)
    before = numbers(app)
    with client.get(f"/v2/a/blobs/{digest}") as response:
        assert response.data == CONTENT
    client.get("/v2/a/manifests/none").close()
    after = numbers(app)
    grown = {key: after[key] - before.get(key, 0) for key in after}

    def growth(name, **labels):
        return grown[name, tuple(sorted(labels.items()))]

    total = "registry_http_requests_total"
    assert growth(total, code="200", handler="blob", method="get") == 1
    assert growth(total, code="404", handler="manifest", method="get") == 1
    size = "registry_http_response_size_bytes"
    assert growth(f"{size}_sum", handler="blob") == len(CONTENT)
    seconds = "registry_http_request_duration_seconds_count"
    assert growth(seconds, handler="blob", method="get") == 1
    assert growth("flaskreg_errors_total", code="MANIFEST_UNKNOWN") == 1
    assert after["registry_http_in_flight_requests", (("handler", "blob"),)] == 0
    assert growth("registry_storage_cache_hits_total") >= 1
    action = "registry_storage_action_seconds_count"
    assert growth(action, action="Reader", driver="inmemory") == 1


def test_a_transfer_is_in_flight_until_it_is_closed(app):
    """A body that a client receives slowly counts all the while."""
    client = Client(app)
    digest = push(client)
    key = ("registry_http_in_flight_requests", (("handler", "blob"),))
    response = client.get(f"/v2/a/blobs/{digest}", buffered=False)
    assert numbers(app)[key] == 1
    response.close()
    assert numbers(app)[key] == 0


def test_what_the_core_measures_is_shown(app):
    found = numbers(app)
    assert found["flaskreg_health_failing", ()] == 0
    app.gate.set({"a": "b"})
    assert numbers(app)["flaskreg_health_failing", ()] == 1


def test_the_path_is_the_configured_one():
    app = create_app(settings(prometheus={"enabled": True, "path": "/numbers"}))
    assert "/numbers" in app.background.debug._pages
    assert "/metrics" not in app.background.debug._pages


def test_every_endpoint_has_a_name():
    assert set(HANDLERS) == set(ENDPOINTS)


@pytest.mark.parametrize("change", [{"enabled": False}, {"addr": ""}])
def test_nothing_is_wrapped_unless_it_is_asked_for(change):
    """The way of a request is the same as without the plugin."""
    app = create_app(settings(**change))
    assert app.site.observers == []
    assert not isinstance(app.driver, MeasuredDriver)


def test_nothing_is_imported_unless_it_is_asked_for():
    """Processes of a registry without metrics do not pay for them."""
    code = (
        "import sys; from flaskreg import create_app; "
        "from flaskreg.config import Settings; "
        "create_app(Settings.model_validate({'storage': {'driver': 'inmemory'}})); "
        "assert 'flaskreg_prometheus' in sys.modules; "
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_plugin_the_start_says_what_to_install():
    given = Settings.model_validate(
        {
            "storage": {"driver": "inmemory"},
            "http": {"debug": {"addr": "127.0.0.1:0", "prometheus": {"enabled": True}}},
            "plugins": {"disabled": ["prometheus"]},
        }
    )
    with pytest.raises(ConfigError, match="pip install flaskreg-prometheus"):
        create_app(given)


class TestMeasuredDriver(DriverTests):
    """It does what the driver inside does."""

    shared_between_processes = False

    @pytest.fixture
    def make_driver(self):
        """Return what makes one around an empty driver."""
        return lambda: MeasuredDriver(InMemoryDriver(), process_metrics())


class TestMeasuredCache(DescriptorCacheTests):
    """It does what the cache inside does."""

    @pytest.fixture
    def cache(self):
        """Return one around an empty cache."""
        return MeasuredCache(MemoryCache(), process_metrics())


class TestPlugin(PluginTests):
    """It is packaged as a plugin is."""

    distribution = "flaskreg-prometheus"
    plugin_name = "prometheus"

    def test_it_is_this_module(self, plugin):
        assert plugin is flaskreg_prometheus
