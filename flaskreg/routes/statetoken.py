"""The signed state of an upload session, ``_state`` in its URL.

The form is CNCF distribution's, so that a session that was begun at one registry can go
on at the other when they share ``http.secret``: the HMAC-SHA256 of a JSON document
and the document, in URL-safe base64. A session of which nothing is stored yet has one
more member, ``PromisedTo``; there is none where ``http.secret`` is set.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from itsdangerous import HMACAlgorithm

from flaskreg.errors import BlobUploadInvalid
from flaskreg.services import UploadSession


#: the longest token that is looked at.
_LONGEST = 4096
_MAC_LENGTH = 32


class Secrets(Protocol):
    """Where the secrets come from, the one that signs first."""

    def keys(self, *, again: bool = False) -> Sequence[bytes]:
        """Return the secrets; *again* asks for those that are new."""


@dataclass(frozen=True, slots=True)
class UploadState:
    """What a token says."""

    name: str
    session_id: str
    #: the bytes that had arrived when the token was made.
    offset: int
    #: when the session was promised; ``None`` when it was stored already.
    promised: datetime | None = None
    #: to whom.
    owner: str = ""


class StateSigner:
    """Makes and verifies tokens.

    :param secrets: the secrets.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._algorithm = HMACAlgorithm(hashlib.sha256)

    def sign(self, name: str, session: UploadSession) -> str:
        """Return a token for the state that *session* of repository *name* has now."""
        members: dict[str, str | int] = {
            "Name": name,
            "UUID": session.id,
            "Offset": session.size,
            "StartedAt": _rfc3339(session.started_at),
        }
        if not session.stored:
            members["PromisedTo"] = session.owner
        document = json.dumps(members, separators=(",", ":")).encode()
        mac = self._algorithm.get_signature(self._secrets.keys()[0], document)
        return urlsafe_b64encode(mac + document).decode("ascii")

    def verify(self, token: str, name: str, session_id: str) -> UploadState:
        """Return what a token says.

        :raises BlobUploadInvalid: it was not made by us, or for another session.
        """
        state = _parse(self._open(token))
        if state is None or (state.name, state.session_id) != (name, session_id):
            raise BlobUploadInvalid
        return state

    def _open(self, token: str) -> bytes:
        try:
            signed = urlsafe_b64decode(token[:_LONGEST].encode("ascii"))
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raise BlobUploadInvalid("invalid secret") from None
        mac, document = signed[:_MAC_LENGTH], signed[_MAC_LENGTH:]
        for again in (False, True):
            for key in self._secrets.keys(again=again):
                if self._algorithm.verify_signature(key, document, mac):
                    return document
        raise BlobUploadInvalid("invalid secret")


def _parse(document: bytes) -> UploadState | None:
    """Read a document whose signature is good; Go ignores the case of its members."""
    try:
        members = json.loads(document)
        folded = {name.lower(): value for name, value in members.items()}
        owner = folded.get("promisedto")
        return UploadState(
            str(folded["name"]),
            str(folded["uuid"]),
            int(folded["offset"]),
            None if owner is None else datetime.fromisoformat(folded["startedat"]),
            str(owner or ""),
        )
    except (ValueError, AttributeError, KeyError, TypeError):
        return None


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
