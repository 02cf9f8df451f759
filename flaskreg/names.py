"""The grammars of what stands in a URL: repository names, tags, session ids.

Source: OCI distribution specification, "Pulling manifests".
"""

from __future__ import annotations

import re
import uuid
from functools import lru_cache

from flaskreg.digest import Digest
from flaskreg.digest import looks_like_digest
from flaskreg.digest import parse_digest
from flaskreg.errors import BlobUploadUnknown
from flaskreg.errors import NameInvalid
from flaskreg.errors import TagInvalid


#: the longest repository name, in characters.
NAME_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@lru_cache(maxsize=4096)
def parse_name(text: str) -> str:
    """Parse a repository name.

    :raises NameInvalid: it does not follow the grammar or is too long.
    """
    if len(text) <= NAME_LENGTH and _NAME.fullmatch(text):
        return text
    raise NameInvalid({"name": text[: NAME_LENGTH + 1]})


def parse_tag(text: str) -> str:
    """Parse a tag.

    :raises TagInvalid: it does not follow the grammar.
    """
    if _TAG.fullmatch(text):
        return text
    raise TagInvalid({"tag": text[:200]}, message="invalid tag")


def parse_reference(text: str) -> Digest | str:
    """Parse what stands after ``/manifests/``.

    :returns: a :class:`~flaskreg.digest.Digest`, or a tag as a plain string.
    :raises DigestInvalid: it has a colon and is no digest.
    :raises TagInvalid: it is neither a digest nor a tag.
    """
    return parse_digest(text) if looks_like_digest(text) else parse_tag(text)


def make_session_id() -> str:
    """Return a new id of an upload session: a random UUID.

    CNCF distribution recognises upload sessions by their UUID when it purges them.
    """
    return str(uuid.uuid4())


def parse_session_id(text: str) -> str:
    """Parse the id of an upload session.

    :raises BlobUploadUnknown: it is not the plain form of a UUID, so that no such
        session can exist.
    """
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        raise BlobUploadUnknown({"uuid": text[:100]}) from None
    if str(parsed) != text:
        raise BlobUploadUnknown({"uuid": text[:100]})
    return text
