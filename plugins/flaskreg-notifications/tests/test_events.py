"""What is told of each request, in distribution's form and in that of CloudEvents."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest
from standardwebhooks import Webhook
from werkzeug.test import Client

from flaskreg.digest import Digest


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BLOB = "application/octet-stream"
HOST = "http://localhost/v2/"


def push_blob(client, content=b"content", name="team/app"):
    """Push a blob and return its digest."""
    digest = Digest.of(content)
    response = client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data=content)
    assert response.status_code == 201, response.text
    return digest


def push_manifest(client, reference="latest", name="team/app", query=""):
    """Push a manifest with one layer, and return its bytes."""
    config, layer = push_blob(client, b"{}", name), push_blob(client, b"layer", name)

    def descriptor(kind, digest, size):
        return {"mediaType": kind, "digest": digest, "size": size}

    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config, 2),
        "layers": [descriptor("application/x-layer", layer, 5)],
    }
    content = json.dumps(document).encode()
    url = f"/v2/{name}/manifests/{reference}{query}"
    response = client.put(url, data=content, content_type=MANIFEST)
    assert response.status_code == 201, response.text
    return content


def told(event):
    """Return what an event says in short."""
    target = event["target"]
    return (
        event["action"],
        target["repository"],
        target["mediaType"],
        target["digest"],
        target.get("tag", ""),
    )


def test_a_push_of_a_blob(make_app, receiver):
    """Every member of the envelope is what distribution makes it."""
    app = make_app({"name": "a", "url": receiver.url})
    client = Client(app)
    digest = Digest.of(b"content")
    client.post(
        f"/v2/team/app/blobs/uploads/?digest={digest}",
        data=b"content",
        headers={"User-Agent": "docker/27"},
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )
    (event,) = receiver.wait(1)
    assert re.fullmatch(r"[0-9a-f-]{36}", event.pop("id"))
    stamp = datetime.fromisoformat(event.pop("timestamp"))
    assert stamp.utcoffset().total_seconds() == 0
    assert re.fullmatch(r"[0-9a-f-]{36}", event["request"].pop("id"))
    assert event.pop("source").keys() == {"addr", "instanceID"}
    assert event == {
        "action": "push",
        "target": {
            "mediaType": BLOB,
            "digest": digest,
            "size": 7,
            "length": 7,
            "repository": "team/app",
            "url": f"{HOST}team/app/blobs/{digest}",
        },
        "request": {
            "addr": "192.0.2.7",
            "host": "localhost",
            "method": "POST",
            "useragent": "docker/27",
        },
        "actor": {},
    }
    headers, body = receiver.requests[0]
    assert headers["Content-Type"] == (
        "application/vnd.docker.distribution.events.v2+json"
    )
    assert body.startswith(b'{\n   "events": [\n')


def test_every_thing_that_happens_is_told_in_its_order(make_app, receiver):
    """Push, pull, mount and delete, of blobs, manifests and tags."""
    client = Client(make_app({"name": "a", "url": receiver.url}))
    content = push_manifest(client)
    digest, layer = Digest.of(content), Digest.of(b"layer")
    client.get("/v2/team/app/manifests/latest")
    client.head(f"/v2/team/app/manifests/{digest}")
    client.get(f"/v2/team/app/blobs/{layer}").close()
    client.head(f"/v2/team/app/blobs/{layer}")
    client.post(f"/v2/team/other/blobs/uploads/?mount={layer}&from=team/app")
    client.put("/v2/team/app/manifests/second", data=content, content_type=MANIFEST)
    client.delete("/v2/team/app/manifests/second")
    client.delete(f"/v2/team/app/manifests/{digest}")
    client.delete(f"/v2/team/app/blobs/{layer}")
    name = "team/app"
    expected = [
        ("push", name, BLOB, Digest.of(b"{}"), ""),
        ("push", name, BLOB, layer, ""),
        ("push", name, MANIFEST, digest, "latest"),
        ("pull", name, MANIFEST, digest, "latest"),
        ("pull", name, MANIFEST, digest, ""),
        ("pull", name, BLOB, layer, ""),
        ("pull", name, BLOB, layer, ""),
        ("push", name, MANIFEST, digest, "second"),
        ("delete", name, "", "", "second"),
        ("delete", name, "", digest, ""),
        ("delete", name, "", "", "latest"),
        ("delete", name, "", layer, ""),
    ]
    taken = receiver.wait(len(expected) + 1)
    assert [told(event) for event in taken if told(event)[1] == name] == expected
    (mounted,) = [event for event in taken if event["action"] == "mount"]
    assert mounted["target"]["repository"] == "team/other"
    assert mounted["target"]["fromRepository"] == "team/app"


@pytest.mark.parametrize(
    "request_",
    [
        ("GET", "/v2/team/app/manifests/none"),
        ("HEAD", "/v2/team/app/blobs/sha256:" + "0" * 64),
        ("PUT", "/v2/team/app/manifests/x"),
        ("DELETE", "/v2/team/app/manifests/none"),
        ("GET", "/v2/team/app/tags/list"),
        ("GET", "/v2/_catalog"),
        ("POST", "/v2/team/app/blobs/uploads/"),
    ],
    ids=" ".join,
)
def test_what_did_not_happen_is_not_told(make_app, receiver, request_):
    client = Client(make_app({"name": "a", "url": receiver.url}))
    method, path = request_
    client.open(path, method=method).close()
    push_blob(client)
    assert [event["action"] for event in receiver.wait(1)] == ["push"]


def test_a_manifest_that_the_client_has_is_no_pull(make_app, receiver):
    client = Client(make_app({"name": "a", "url": receiver.url}))
    digest = Digest.of(push_manifest(client))
    held = {"If-None-Match": f'"{digest}"'}
    assert client.get("/v2/team/app/manifests/latest", headers=held).status_code == 304
    push_blob(client, b"last")
    assert [event["action"] for event in receiver.wait(4)] == ["push"] * 4


def test_references_are_told_on_demand(make_app, make_receiver):
    receiver = make_receiver()
    endpoint = {"name": "a", "url": receiver.url}
    client = Client(make_app(endpoint, events={"includereferences": True}))
    push_manifest(client)
    last = receiver.wait(3)[-1]
    assert [each["size"] for each in last["target"]["references"]] == [2, 5]


def test_several_tags_of_a_push_are_one_event_each(make_app, receiver):
    client = Client(make_app({"name": "a", "url": receiver.url}))
    digest = Digest.of(push_manifest(client))
    url = f"/v2/team/app/manifests/{digest}?tag=one&tag=two"
    content = client.get(f"/v2/team/app/manifests/{digest}").data
    assert client.put(url, data=content, content_type=MANIFEST).status_code == 201
    receiver.wait(6)
    tags = [event["target"].get("tag") for event in receiver.taken]
    assert tags[-2:] == ["one", "two"]


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [
        ({"ignore": {"actions": ["pull"]}}, ["push", "delete"]),
        ({"ignore": {"mediatypes": [BLOB]}}, ["delete"]),
        ({"ignoredmediatypes": [BLOB]}, ["delete"]),
        ({"ignore": {"actions": ["delete", "push"]}}, ["pull"]),
        ({}, ["push", "pull", "delete"]),
    ],
)
def test_what_an_endpoint_ignores(make_app, receiver, ignored, expected):
    client = Client(make_app({"name": "a", "url": receiver.url, **ignored}))
    digest = push_blob(client)
    client.get(f"/v2/team/app/blobs/{digest}").close()
    client.delete(f"/v2/team/app/blobs/{digest}")
    receiver.wait(len(expected))
    assert [event["action"] for event in receiver.taken] == expected


@pytest.mark.parametrize(
    ("request_", "kind", "subject"),
    [
        ("blob", "io.flaskreg.blob.push", "team/app/{digest}"),
        ("manifest", "io.flaskreg.manifest.push", "team/app/latest"),
    ],
)
def test_cloud_events(make_app, receiver, request_, kind, subject):
    """Structured mode, with distribution's event as the data."""
    client = Client(
        make_app({"name": "a", "url": receiver.url, "format": "cloudevents"})
    )
    count, digest = 1, Digest.of(b"content")
    if request_ == "blob":
        push_blob(client)
    else:
        count = 3
        push_manifest(client)
    event = receiver.wait(count)[-1]
    headers, _ = receiver.requests[-1]
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert event["specversion"] == "1.0"
    assert event["type"] == kind
    assert event["subject"] == subject.format(digest=digest)
    assert event["source"].startswith("//")
    assert event["id"] == event["data"]["id"]
    assert event["data"]["action"] == "push"


def test_a_signature_that_another_library_verifies(make_app, receiver):
    """And that does not hold for another body."""
    key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    client = Client(make_app({"name": "a", "url": receiver.url, "secret": key}))
    push_blob(client)
    receiver.wait(1)
    headers, body = receiver.requests[0]
    import base64

    webhook = Webhook(base64.b64encode(key.encode()).decode())
    webhook.verify(body.decode(), {k.lower(): v for k, v in headers.items()})
    with pytest.raises(Exception, match="signature"):
        webhook.verify(body.decode() + " ", {k.lower(): v for k, v in headers.items()})
    assert key not in str(headers)


def test_headers_of_the_configuration_are_sent_along(make_app, receiver):
    headers = {"Authorization": ["Bearer canary"]}
    client = Client(make_app({"name": "a", "url": receiver.url, "headers": headers}))
    push_blob(client)
    receiver.wait(1)
    assert receiver.requests[0][0]["Authorization"] == "Bearer canary"
