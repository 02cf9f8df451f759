"""Metrics of several worker processes, read by Prometheus itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families


pytestmark = pytest.mark.live

#: what distribution 3.1 serves, by its types; the proxy's are those of its cache.
DISTRIBUTION = {
    "registry_http_in_flight_requests": "gauge",
    "registry_http_request_duration_seconds": "histogram",
    "registry_http_request_size_bytes": "histogram",
    "registry_http_requests": "counter",
    "registry_http_response_size_bytes": "histogram",
    "registry_storage_action_seconds": "histogram",
    "registry_storage_cache_errors": "counter",
    "registry_storage_cache_hits": "counter",
    "registry_storage_cache_requests": "counter",
}


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, what, seconds=60):
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = condition()
        except requests.ConnectionError:
            found = None
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"not in {seconds} s: {what}")


class Registry:
    """A server with four workers."""

    def __init__(self, folder):
        self.port, self.debug = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.page = f"http://127.0.0.1:{self.debug}/metrics"
        config = folder / "config.yml"
        document = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "root")},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {
                "addr": f"127.0.0.1:{self.port}",
                "workers": 4,
                "debug": {
                    "addr": f"127.0.0.1:{self.debug}",
                    "prometheus": {"enabled": True},
                },
            },
        }
        config.write_text(yaml.safe_dump(document))
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("flaskreg"), "serve", str(config)],
            stdout=self.log,
            stderr=self.log,
        )
        eventually(lambda: requests.get(self.page, timeout=5).ok, "it serves numbers")

    def workers(self):
        """Return the processes of the workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(each) for each in children.split()]

    def get(self, path="/v2/", count=1):
        """Send requests, each on a connection of its own."""
        for _ in range(count):
            requests.get(self.url + path, timeout=10)

    def text(self):
        """Return the page."""
        return requests.get(self.page, timeout=10).text

    def value(self, name, **labels):
        """Return one number; 0 when there is none."""
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0

    def bases(self):
        """Return how many requests to ``/v2/`` were counted."""
        return self.value(
            "registry_http_requests_total", code="200", handler="base", method="get"
        )

    def stop(self):
        """End it, and say what it said."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.seek(0)
        return self.log.read()


@pytest.fixture
def registry(tmp_path):
    """A server of this test, whose log has no traceback in the end."""
    registry = Registry(tmp_path)
    yield registry
    said = registry.stop()
    registry.log.close()
    assert "Traceback" not in said, said


def test_all_workers_are_added_up(registry):
    """Each request is counted once, whoever answered it and whoever is asked."""
    before = registry.bases()
    registry.get(count=200)
    assert registry.bases() == before + 200
    assert registry.value("flaskreg_workers") >= 1
    assert registry.value("flaskreg_workers_resident_memory_bytes") > 1 << 20


def test_killed_workers_stay_in_the_sum(registry):
    """The one that serves the page as well; nothing is counted in flight for them."""
    registry.get(count=100)
    before = registry.bases()
    for pid in registry.workers():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: registry.bases() == before, "the sum is there again")
    assert registry.value("registry_http_in_flight_requests", handler="base") == 0
    registry.get(count=50)
    assert registry.bases() == before + 50


def test_names_and_types_are_those_of_distribution(registry):
    registry.get("/v2/a/manifests/none")
    digest = "sha256:" + "0" * 64
    registry.get(f"/v2/a/blobs/{digest}")
    families = {
        family.name: family.type
        for family in text_string_to_metric_families(registry.text())
    }
    assert families.items() >= DISTRIBUTION.items()


def test_promtool_finds_nothing_to_say(registry):
    """Install Debian's ``prometheus`` for it."""
    registry.get("/v2/a/manifests/none", count=3)
    result = subprocess.run(
        ["promtool", "check", "metrics"],
        input=registry.text(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_prometheus_reads_it(registry, tmp_path):
    """A real one: what it stores is what was asked, and each panel has an answer."""
    registry.get(count=20)
    registry.get("/v2/a/manifests/none", count=5)
    config = tmp_path / "prometheus.yml"
    target = [f"127.0.0.1:{registry.debug}"]
    job = {"job_name": "flaskreg", "static_configs": [{"targets": target}]}
    config.write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]})
    )
    port = free_port()
    assert shutil.which("prometheus"), "apt-get install prometheus"
    with (tmp_path / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        ready = f"http://127.0.0.1:{port}/-/ready"
        eventually(lambda: requests.get(ready, timeout=10).ok, "Prometheus is ready")

        def ask(query):
            url = f"http://127.0.0.1:{port}/api/v1/query"
            answer = requests.get(url, params={"query": query}, timeout=10).json()
            assert answer["status"] == "success", (query, answer)
            return answer["data"]["result"]

        counted = 'registry_http_requests_total{handler="base"}'
        (series,) = eventually(lambda: ask(counted), "it was scraped")
        assert float(series["value"][1]) >= 20
        eventually(lambda: len(ask("count_over_time(up[1m]) > 3")), "some scrapes")
        for query in panel_queries():
            ask(query)
    finally:
        process.terminate()
        process.wait(60)


def panel_queries():
    """Return every query of the dashboard, for five minutes."""
    path = Path(__file__).parents[1] / "grafana" / "flaskreg.json"
    dashboard = json.loads(path.read_text())
    found = [
        target["expr"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(found) > 8
    return [re.sub(r"\$__rate_interval", "5m", query) for query in found]
