"""Spans, as a collector receives them over OTLP."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

import flaskreg_otel
import pytest
from flaskreg_otel.requests import ROUTES
from flaskreg_otel.storage import TracedDriver
from flaskreg_otel.tracing import process_tracing
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.digest import Digest
from flaskreg.routes.endpoints import ENDPOINTS
from flaskreg.testing import DriverTests
from flaskreg.testing import PluginTests


CONTENT = b"content" * 20_000
INMEMORY = Settings.model_validate({"storage": {"driver": "inmemory"}})


class Collector:
    """Receives spans, as the OpenTelemetry collector does."""

    def __init__(self):
        self.requests = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802 - its name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format, *args):  # noqa: A002 - its name
                """Write nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def spans(self):
        """Return all spans that came, after those that wait were sent."""
        process_tracing().flush()
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self):
        """Listen no more."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def attributes(span):
    """Return the attributes of a span."""
    return {
        each.key: each.value.string_value or each.value.int_value
        for each in span.attributes
    }


@pytest.fixture
def collector(monkeypatch):
    """A collector that this test's spans go to."""
    collector = Collector()
    url = f"http://127.0.0.1:{collector.server.server_port}"
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    process_tracing.cache_clear()
    yield collector
    made = process_tracing()._made
    if made is not None:
        made[1].shutdown()
    process_tracing.cache_clear()
    collector.close()


@pytest.fixture
def client(collector):
    """A client of an application that is traced."""
    assert collector.requests == []
    return Client(create_app(INMEMORY))


def push(client):
    """Push a blob and return its digest."""
    digest = Digest.of(CONTENT)
    response = client.post(f"/v2/a/b/blobs/uploads/?digest={digest}", data=CONTENT)
    assert response.status_code == 201
    return digest


def test_a_request_is_a_span_with_those_of_the_storage_within(client, collector):
    digest = push(client)
    before = len(collector.spans())
    with client.get(f"/v2/a/b/blobs/{digest}") as response:
        assert response.data == CONTENT
    spans = collector.spans()[before:]
    (request,) = [span for span in spans if span.kind == 2]
    assert request.name == "GET /v2/{name}/blobs/{digest}"
    found = attributes(request)
    assert found["http.response.status_code"] == 200
    assert found["flaskreg.repository"] == "a/b"
    assert found["flaskreg.digest"] == digest
    storage = [span for span in spans if span.kind == 3]
    assert {span.parent_span_id for span in storage} == {request.span_id}
    assert "Reader" in {span.name for span in storage}
    driver = "io.cncf.distribution.storage.driver.name"
    assert {attributes(span)[driver] for span in storage} == {"inmemory"}


def test_a_trace_that_a_client_began_goes_on(client, collector):
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    client.get("/v2/", headers={"traceparent": f"00-{trace}-{parent}-01"})
    (span,) = [span for span in collector.spans() if span.kind == 2]
    assert span.trace_id.hex() == trace
    assert span.parent_span_id.hex() == parent


def test_requests_do_not_stand_in_each_other(client, collector):
    """The span of one is over before the next begins, streamed or not."""
    digest = push(client)
    for _ in range(3):
        client.get(f"/v2/a/b/blobs/{digest}").close()
        client.get("/v2/a/b/manifests/none").close()
    requests = [span for span in collector.spans() if span.kind == 2]
    assert len(requests) == 7
    assert {span.parent_span_id for span in requests} == {b""}


def test_an_error_of_the_server_is_one(client, collector, monkeypatch):
    """An unknown manifest is none; a storage that breaks is."""

    def broken(_self, path):
        raise OSError(f"input/output error: {path}")

    client.get("/v2/a/b/manifests/none").close()
    monkeypatch.setattr(InMemoryDriver, "get_content", broken)
    client.get("/v2/a/b/manifests/none").close()
    fine, failed = [span for span in collector.spans() if span.kind == 2]
    assert (fine.status.code, failed.status.code) == (0, 2)
    assert attributes(fine)["error.type"] == "MANIFEST_UNKNOWN"
    assert "input/output error" in str(failed.events[0])


def test_no_secret_is_in_a_span(client, collector):
    headers = {"Authorization": "Basic Y2FuYXJ5", "Cookie": "canary"}
    client.get("/v2/a/b/blobs/uploads/1?_state=canary", headers=headers).close()
    text = str(collector.spans())
    assert "GET /v2/{name}/blobs/uploads/{session}" in text
    assert "canary" not in text
    assert "Y2Fu" not in text


def test_who_the_spans_are_of(client, collector):
    client.get("/v2/")
    collector.spans()
    resource = collector.requests[0].resource_spans[0].resource
    found = attributes(resource)
    assert found["service.name"] == "flaskreg"
    assert found["service.version"]


def test_every_endpoint_has_a_route():
    assert set(ROUTES) == set(ENDPOINTS)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        },
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_switched_off_it_wraps_and_imports_nothing(environ):
    code = (
        "import sys; from flaskreg import create_app; "
        "from flaskreg.config import Settings; "
        "app = create_app("
        "Settings.model_validate({'storage': {'driver': 'inmemory'}})); "
        "assert app.site.observers == []; "
        "sys.exit('opentelemetry.sdk.trace' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=environ, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ],
)
def test_a_name_that_is_none_is_an_error(monkeypatch, name, value):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv(name, value)
    process_tracing.cache_clear()
    with pytest.raises(ConfigError, match=name):
        create_app(INMEMORY)


class TestTracedDriver(DriverTests):
    """It does what the driver inside does."""

    shared_between_processes = False

    @pytest.fixture
    def make_driver(self, collector):
        """Return what makes one around an empty driver."""
        assert collector.requests == []
        return lambda: TracedDriver(InMemoryDriver(), process_tracing())


class TestPlugin(PluginTests):
    """It is packaged as a plugin is."""

    plugin_name = "otel"
    distribution = "flaskreg-otel"

    def test_it_is_this_module(self, plugin):
        assert plugin is flaskreg_otel
