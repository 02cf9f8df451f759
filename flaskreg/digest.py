"""Digests, and a running digest whose state can be saved.

:mod:`hashlib` cannot save the state of a running digest. OpenSSL's ``SHA256_CTX``
and ``SHA512_CTX`` are plain structures, so the same library that hashlib uses is
called through :mod:`ctypes` here, at the same speed; the exported state is byte for
byte that of Go's ``encoding.BinaryMarshaler``, which is what CNCF distribution
keeps in ``_uploads/<id>/hashstates``.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import struct
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from flaskreg.errors import DigestInvalid


#: the algorithm by which content is stored.
CANONICAL = "sha256"

#: length of the encoded (hexadecimal) part of a digest, by algorithm.
ENCODED_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}

_DIGEST = re.compile(
    r"(?P<algorithm>sha256|sha384|sha512):(?P<encoded>[a-f0-9]{64,128})"
)
_SHAPE = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")


class Digest(str):
    """A digest, ``algorithm:encoded``, that has been parsed.

    Source: OCI image specification, descriptor, "Digests".
    """

    __slots__ = ()

    @property
    def algorithm(self) -> str:
        """Return the name of the algorithm, such as ``sha256``."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """Return the hexadecimal part."""
        return self.partition(":")[2]

    @property
    def canonical(self) -> bool:
        """Whether content is stored under this very digest."""
        return self.startswith("sha256:")

    @classmethod
    def of(cls, content: bytes, algorithm: str = CANONICAL) -> Digest:
        """Return the digest of *content*."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")


@functools.lru_cache(maxsize=4096)
def parse_digest(text: str) -> Digest:
    """Parse *text*.

    :raises DigestInvalid: it has not the form of a digest, or names an algorithm
        that this registry does not keep.
    """
    match = _DIGEST.fullmatch(text)
    if match and len(match["encoded"]) == ENCODED_LENGTHS[match["algorithm"]]:
        return Digest(text)
    raise DigestInvalid({"digest": text[:200]}, message="invalid digest")


def parse_algorithm(text: str) -> str:
    """Parse the name of a digest algorithm.

    :raises DigestInvalid: this registry does not keep that algorithm.
    """
    if text in ENCODED_LENGTHS:
        return text
    raise DigestInvalid(
        {"digest-algorithm": text[:100]}, message="unsupported digest algorithm"
    )


def looks_like_digest(text: str) -> bool:
    """Whether *text* has a digest's form, valid or not (a tag has no colon)."""
    return ":" in text


class Digester(Protocol):
    """A running digest."""

    algorithm: str
    #: bytes digested so far.
    size: int

    def update(self, chunk: bytes) -> None:
        """Digest further bytes."""

    def digest(self) -> Digest:
        """Return the digest of all bytes so far; more may follow."""

    def state(self) -> bytes | None:
        """Return the exported state, or ``None`` where it cannot be exported."""


class HashlibDigester:
    """A running digest by hashlib, for where OpenSSL's library is not reached."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.size = 0
        self._hash = hashlib.new(algorithm)

    def update(self, chunk: bytes) -> None:
        """Digest further bytes."""
        self._hash.update(chunk)
        self.size += len(chunk)

    def digest(self) -> Digest:
        """Return the digest of all bytes so far."""
        return Digest(f"{self.algorithm}:{self._hash.hexdigest()}")

    def state(self) -> bytes | None:
        """Return ``None``: hashlib keeps its state to itself."""
        return None


class _Context32(ctypes.Structure):
    """OpenSSL's ``SHA256_CTX``."""

    _fields_ = (
        ("h", ctypes.c_uint32 * 8),
        ("low", ctypes.c_uint32),
        ("high", ctypes.c_uint32),
        ("data", ctypes.c_uint8 * 64),
        ("num", ctypes.c_uint),
        ("length", ctypes.c_uint),
    )


class _Context64(ctypes.Structure):
    """OpenSSL's ``SHA512_CTX``, which sha384 uses too."""

    _fields_ = (
        ("h", ctypes.c_uint64 * 8),
        ("low", ctypes.c_uint64),
        ("high", ctypes.c_uint64),
        ("data", ctypes.c_uint8 * 128),
        ("num", ctypes.c_uint),
        ("length", ctypes.c_uint),
    )


@dataclass(frozen=True)
class _Family:
    """What differs between the algorithms, in OpenSSL and in Go's export."""

    context: Any
    prefix: str
    magic: bytes
    words: str
    block: int
    size: int


_FAMILIES = {
    "sha256": _Family(_Context32, "SHA256", b"sha\x03", ">8I", 64, 32),
    "sha384": _Family(_Context64, "SHA384", b"sha\x04", ">8Q", 128, 48),
    "sha512": _Family(_Context64, "SHA512", b"sha\x07", ">8Q", 128, 64),
}


@functools.cache
def _libcrypto() -> ctypes.CDLL | None:
    """Return the libcrypto that hashlib itself is linked with, if it can be had."""
    try:
        import _hashlib

        library = ctypes.CDLL(_hashlib.__file__)
        for family in _FAMILIES.values():
            for step in ("Init", "Update", "Final"):
                getattr(library, f"{family.prefix}_{step}")
    except (ImportError, OSError, AttributeError):
        return None
    return library


class OpenSSLDigester:
    """A running digest whose state is OpenSSL's own structure."""

    def __init__(self, algorithm: str, library: ctypes.CDLL) -> None:
        family = _FAMILIES[algorithm]
        self.algorithm = algorithm
        self.size = 0
        self._family = family
        self._context = family.context()
        self._reference = ctypes.byref(self._context)
        self._update = getattr(library, f"{family.prefix}_Update")
        self._final = getattr(library, f"{family.prefix}_Final")
        getattr(library, f"{family.prefix}_Init")(self._reference)

    def update(self, chunk: bytes) -> None:
        """Digest further bytes; the interpreter's lock is released meanwhile."""
        length = len(chunk)
        self._update(self._reference, chunk, ctypes.c_size_t(length))
        self.size += length

    def digest(self) -> Digest:
        """Return the digest of all bytes so far."""
        copy = self._family.context.from_buffer_copy(self._context)
        result = ctypes.create_string_buffer(self._family.size)
        self._final(result, ctypes.byref(copy))
        return Digest(f"{self.algorithm}:{result.raw.hex()}")

    def state(self) -> bytes | None:
        """Return the state as Go's ``MarshalBinary`` writes it."""
        family, context = self._family, self._context
        block = bytes(context.data[: context.num]).ljust(family.block, b"\0")
        words = struct.pack(family.words, *context.h)
        return family.magic + words + block + struct.pack(">Q", self.size)

    def restore(self, state: bytes) -> bool:
        """Take over an exported *state*; ``False`` when it is not one."""
        family, context = self._family, self._context
        head = len(family.magic) + struct.calcsize(family.words)
        if len(state) != head + family.block + 8 or state[:4] != family.magic:
            return False
        (size,) = struct.unpack(">Q", state[-8:])
        context.h[:] = struct.unpack(family.words, state[4:head])
        context.num = size % family.block
        context.data[:] = state[head:-8]
        bits = size * 8
        width = ctypes.sizeof(context._fields_[1][1]) * 8
        context.low, context.high = bits & ((1 << width) - 1), bits >> width
        self.size = size
        return True


def make_digester(algorithm: str = CANONICAL) -> Digester:
    """Return a new running digest.

    :raises DigestInvalid: this registry does not keep that algorithm.
    """
    parse_algorithm(algorithm)
    library = _libcrypto()
    if library is None:
        return HashlibDigester(algorithm)
    return OpenSSLDigester(algorithm, library)


def restore_digester(algorithm: str, state: bytes) -> Digester | None:
    """Return a running digest that goes on from *state*.

    :returns: ``None`` when the state is damaged, of another algorithm, or cannot be
        restored on this machine; the content is then digested from its start.
    """
    library = _libcrypto()
    if library is None:
        return None
    digester = OpenSSLDigester(algorithm, library)
    return digester if digester.restore(state) else None
