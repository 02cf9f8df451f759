"""Events as endpoints read them.

Source: CNCF distribution's notifications, envelope version 2; CloudEvents 1.0, JSON
format and structured content mode; Standard Webhooks for signatures.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from flaskreg.descriptor import Descriptor
from flaskreg.events import Event


DISTRIBUTION = "application/vnd.docker.distribution.events.v2+json"
CLOUDEVENTS = "application/cloudevents+json; charset=utf-8"

_BLOB = "application/octet-stream"


def event_document(
    event: Event, source: Mapping[str, str], *, references: bool
) -> dict[str, Any]:
    """Return an event as distribution's envelope has it.

    :param source: the server: ``addr`` and ``instanceID``.
    :param references: tell what a manifest lists.
    """
    request = event.request
    return {
        "id": event.id,
        "timestamp": event.timestamp.isoformat().replace("+00:00", "Z"),
        "action": event.action,
        "target": _target(event, references=references),
        "request": _without_nothing(
            {
                "id": request.id,
                "addr": request.address,
                "host": request.host,
                "method": request.method,
                "useragent": request.user_agent,
            }
        ),
        "actor": _without_nothing({"name": event.actor}),
        "source": dict(source),
    }


def encode_event(document: Mapping[str, Any], form: str) -> tuple[str, bytes]:
    """Return the content type and the body of a request that tells one event.

    :param form: ``distribution`` or ``cloudevents``.
    """
    if form == "cloudevents":
        return CLOUDEVENTS, _encode(_cloud_event(document))
    return DISTRIBUTION, _encode({"events": [document]}, indent=3)


def signature(secret: bytes, event_id: str, seconds: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``.

    :param seconds: of ``webhook-timestamp``, since 1970.
    """
    signed = f"{event_id}.{seconds}.".encode() + body
    value = hmac.new(secret, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(value).decode()


def _target(event: Event, *, references: bool) -> dict[str, Any]:
    target = event.target or Descriptor("", "", 0)  # type: ignore[arg-type]
    document = {**target.to_json(), "length": target.size or None}
    document["repository"] = event.repository
    document["fromRepository"] = event.source_repository
    document["url"] = event.url
    document["tag"] = event.tag
    if references and event.references:
        document["references"] = [each.to_json() for each in event.references]
    kept = ("mediaType", "digest", "size")
    return {
        key: value
        for key, value in document.items()
        if key in kept or value not in ("", None)
    }


def _cloud_event(document: Mapping[str, Any]) -> dict[str, Any]:
    target = document["target"]
    reference = target.get("tag") or target["digest"]
    return {
        "specversion": "1.0",
        "id": document["id"],
        "source": f"//{document['source']['addr']}",
        "type": f"io.flaskreg.{_kind(target)}.{document['action']}",
        "subject": f"{target['repository']}/{reference}",
        "time": document["timestamp"],
        "datacontenttype": "application/json",
        "data": document,
    }


def _kind(target: Mapping[str, Any]) -> str:
    if not target["digest"]:
        return "tag"
    if not target["mediaType"]:
        return "content"
    return "blob" if target["mediaType"] == _BLOB else "manifest"


def _encode(document: object, indent: int | None = None) -> bytes:
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "replace")


def _without_nothing(members: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in members.items() if value}
