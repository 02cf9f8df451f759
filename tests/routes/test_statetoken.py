"""The signed state of an upload, in the form of CNCF distribution."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.errors import BlobUploadInvalid
from flaskreg.routes.statetoken import StateSigner
from flaskreg.routes.statetoken import UploadState
from flaskreg.storage.secrets import FixedSecrets


NAME = "team/app"
SESSION = "0189f1b0-0000-4000-8000-000000000000"
SECRET = "geheim"

#: what Go's HMAC of distribution makes of this session with this secret.
DOCUMENT = (
    '{"Name":"team/app","UUID":"0189f1b0-0000-4000-8000-000000000000",'
    '"Offset":42,"StartedAt":"2026-08-18T11:55:22Z"}'
)
GOLDEN = (
    "7pVj0KXd7Q_MOvQSAny9wjhJmz9yT7ccGn7P7gVA8QB7Ik5hbWUiOiJ0ZWFtL2FwcCIsIlVVSUQi"
    "OiIwMTg5ZjFiMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDAiLCJPZmZzZXQiOjQyLCJTdGFy"
    "dGVkQXQiOiIyMDI2LTA4LTE4VDExOjU1OjIyWiJ9"
)


def session(size: int = 42) -> Any:
    """Return what is signed of a session."""
    started = datetime(2026, 8, 18, 11, 55, 22, tzinfo=UTC)
    return SimpleNamespace(id=SESSION, size=size, started_at=started, stored=True)


def signed(document: bytes, secret: str = SECRET) -> str:
    """Sign a document as distribution does."""
    mac = hmac.new(secret.encode(), document, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac + document).decode()


@pytest.fixture
def signer() -> StateSigner:
    """Return a signer with the secret."""
    return StateSigner(FixedSecrets(SECRET))


def test_a_token_is_that_of_distribution(signer: StateSigner) -> None:
    """Byte for byte: one registry goes on with what the other began."""
    assert signer.sign(NAME, session()) == GOLDEN == signed(DOCUMENT.encode())
    assert signer.verify(GOLDEN, NAME, SESSION) == UploadState(NAME, SESSION, 42)


@pytest.mark.parametrize(
    "document",
    [
        DOCUMENT.lower().replace("t11", "T11").replace("22z", "22Z"),
        json.dumps(json.loads(DOCUMENT), indent=2),
        json.dumps({**json.loads(DOCUMENT), "Later": [1]}),
        DOCUMENT.replace("22Z", "22.123456789+02:00"),
        DOCUMENT.replace(',"StartedAt":"2026-08-18T11:55:22Z"', ""),
    ],
)
def test_any_document_with_the_members_is_read(
    signer: StateSigner, document: str
) -> None:
    """Go ignores the case of members, their order, and those it does not know."""
    token = signed(document.encode())
    assert signer.verify(token, NAME, SESSION).offset == 42


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "AAAA",
        "=",
        GOLDEN[:-4],
        GOLDEN[4:],
        GOLDEN + "AAAA",
        "A" + GOLDEN[1:],
        "é",
        "\ud800",
        "A" * 10_000_000,
        signed(DOCUMENT.encode(), "other secret"),
        signed(DOCUMENT.encode(), ""),
        base64.urlsafe_b64encode(DOCUMENT.encode()).decode(),
        base64.urlsafe_b64encode(bytes(32) + DOCUMENT.encode()).decode(),
    ],
    ids=lambda token: repr(token[:12]),
)
def test_a_token_that_we_did_not_sign_is_refused(
    signer: StateSigner, token: str
) -> None:
    """Cut, grown, changed, or signed by somebody else."""
    with pytest.raises(BlobUploadInvalid) as caught:
        signer.verify(token, NAME, SESSION)
    assert caught.value.detail == "invalid secret"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"Name":"team/app"}',
        DOCUMENT.replace("team/app", "team/other").encode(),
        DOCUMENT.replace(SESSION, SESSION[:-1] + "1").encode(),
        DOCUMENT.replace("42", '"x"').encode(),
        DOCUMENT.replace("42", "null").encode(),
    ],
)
def test_a_token_for_something_else_is_refused(
    signer: StateSigner, document: bytes
) -> None:
    """Of another session or repository, or of nothing at all."""
    with pytest.raises(BlobUploadInvalid):
        signer.verify(signed(document), NAME, SESSION)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(GOLDEN) * 6 - 1))
def test_no_bit_can_be_changed(at: int) -> None:
    """Whichever of them: the signature is over all."""
    raw = bytearray(base64.urlsafe_b64decode(GOLDEN))
    raw[at // 8 % len(raw)] ^= 1 << at % 8
    token = base64.urlsafe_b64encode(raw).decode()
    with pytest.raises(BlobUploadInvalid):
        StateSigner(FixedSecrets(SECRET)).verify(token, NAME, SESSION)


class Late:
    """Secrets of which one is known only when the storage is read again."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def keys(self, *, again: bool = False) -> Sequence[bytes]:
        """Return one secret, or both."""
        self.asked.append(again)
        return [b"mine", b"yours"] if again else [b"mine"]


def test_the_secret_of_another_process_is_looked_for() -> None:
    """Once, and only when a token is not of ours."""
    secrets = Late()
    signer = StateSigner(secrets)
    assert signer.verify(signer.sign(NAME, session(7)), NAME, SESSION).offset == 7
    assert True not in secrets.asked
    token = signed(DOCUMENT.encode(), "yours")
    assert signer.verify(token, NAME, SESSION).offset == 42
    assert True in secrets.asked
    with pytest.raises(BlobUploadInvalid):
        signer.verify(signed(DOCUMENT.encode(), "theirs"), NAME, SESSION)
