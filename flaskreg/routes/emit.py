"""Events of a request: made where the endpoint knows what happened, and handed on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.events import PROMISED
from flaskreg.events import Action
from flaskreg.events import Event
from flaskreg.events import Origin
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.observer import EXCHANGE
from flaskreg.observer import Exchange
from flaskreg.routes.call import Call


_log = logging.getLogger("flaskreg")


def emit_blob(
    call: Call, action: Action, digest: Digest, size: int, source: str = ""
) -> None:
    """Tell what happened to a blob.

    :param source: the repository that a mounted one came from.
    """
    if call.site.sinks:
        target = Descriptor(OCTET_STREAM, digest, size)
        url = call.site.urls.absolute(call.environ, f"{call.name}/blobs/{digest}")
        _emit(call, action, target=target, url=url, source=source)


def emit_manifest(
    call: Call, action: Action, manifest: Manifest, tags: Sequence[str] = ()
) -> None:
    """Tell what happened to a manifest: once for each tag, or once without one."""
    if call.site.sinks:
        digest = manifest.digest
        target = Descriptor(
            manifest.media_type,
            digest,
            len(manifest.content),
            annotations=manifest.annotations,
            artifact_type=manifest.artifact_type,
        )
        url = call.site.urls.absolute(call.environ, f"{call.name}/manifests/{digest}")
        references = (*manifest.blobs, *manifest.manifests)
        for tag in tags or ("",):
            _emit(call, action, target=target, url=url, tag=tag, references=references)


def emit_delete(
    call: Call, digest: Digest | None = None, tags: Sequence[str] = ()
) -> None:
    """Tell that content was deleted, and each tag that went with it."""
    if call.site.sinks:
        if digest is not None:
            _emit(call, "delete", target=Descriptor("", digest, 0))
        for tag in tags:
            _emit(call, "delete", tag=tag)


def _emit(
    call: Call,
    action: Action,
    *,
    target: Descriptor | None = None,
    tag: str = "",
    source: str = "",
    references: Sequence[Descriptor] = (),
    url: str = "",
) -> None:
    exchange: Exchange = call.environ[EXCHANGE]
    event = Event(
        action=action,
        repository=call.name,
        target=target,
        tag=tag,
        source_repository=source,
        references=references,
        url=url,
        actor=exchange.principal,
        request=Origin(
            id=exchange.id,
            address=exchange.client,
            host=call.environ.get("HTTP_HOST", ""),
            method=call.method,
            user_agent=call.environ.get("HTTP_USER_AGENT", ""),
        ),
    )
    for sink in call.site.sinks:
        try:
            sink.accept(event)
        except DriverError:
            if action in PROMISED:
                raise
            _log.exception("an event was lost")
