"""Whether a request is there as far as a thread needs it to be.

A thread that takes half a request waits for its client, and a few such clients take all
threads. So a connection stays with the poller until the head is whole, and the body too
when it is small.
"""

from __future__ import annotations


#: the longest head that is waited for, in bytes; gunicorn refuses longer ones.
LONGEST_HEAD = 64 << 10

#: the largest body that is waited for, in bytes. Larger ones are bulk transfers.
SMALL_BODY = 64 << 10

#: in the path of a blob, which may be large.
_BLOB = b"/blobs/"

_LENGTH = b"\r\ncontent-length:"


def is_complete(data: bytes) -> bool:
    """Whether a thread can take the request that *data* begins with.

    What no request can begin with is complete: the parser refuses it.
    """
    if not data[:1].isalpha() and data[:1] != b"\r":
        return True
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return len(data) > LONGEST_HEAD or data.count(b"\n") != data.count(b"\r\n")
    head = data[: end + 2].lower()
    at = head.find(_LENGTH)
    if at < 0:
        return True
    stated = head[at + len(_LENGTH) : head.find(b"\r\n", at + 2)].strip()
    if not stated.isdigit() or len(stated) > 9 or b"\r\nexpect:" in head:
        return True
    return int(stated) > SMALL_BODY or len(data) - end - 4 >= int(stated)


def is_short(data: bytes, *, remote: bool = False) -> bool:
    """Whether the request that *data* begins with is mostly answered at once.

    :param remote: whether content is asked for elsewhere: then threads ask at the same
        time, and what needs no content alone is answered at once.
    """
    if remote:
        return data.startswith((b"GET /v2/ ", b"HEAD /v2/ "))
    if data.startswith(b"GET "):
        return _BLOB not in data[: data.find(b"\r\n")]
    return data.startswith(b"HEAD ")
