"""Descriptors: what is read from a document, and what is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.descriptor import Descriptor
from flaskreg.descriptor import parse_annotations
from flaskreg.descriptor import parse_descriptor
from flaskreg.digest import Digest
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid


DIGEST = Digest.of(b"content")

WHOLE: dict[str, Any] = {
    "mediaType": "application/x-test",
    "digest": str(DIGEST),
    "size": 7,
    "urls": ["https://example.com/a"],
    "annotations": {"a": "b"},
    "artifactType": "application/x-artifact",
    "platform": {"os": "linux", "architecture": "amd64", "os.features": ["x"]},
}


def test_the_whole_of_it_comes_back() -> None:
    """Every member that is kept is written as it was read."""
    descriptor = parse_descriptor(WHOLE, "layers[0]")
    assert descriptor.to_json() == WHOLE
    assert isinstance(descriptor.digest, Digest)


def test_the_least_of_it() -> None:
    """Members that are not there, or null, are not written."""
    least = {"digest": str(DIGEST), "size": 0}
    nulls = {key: None for key in WHOLE if key not in least}
    for document in (least, {**nulls, **least}):
        assert parse_descriptor(document, "x").to_json() == {"mediaType": "", **least}


def test_unknown_members_are_no_error() -> None:
    """``data`` and what comes later are left in the stored bytes."""
    assert parse_descriptor({**WHOLE, "data": "e30=", "later": 1}, "x") == (
        parse_descriptor(WHOLE, "x")
    )


@pytest.mark.parametrize("document", [None, [], "sha256:abc", 1, True])
def test_a_descriptor_is_an_object(document: Any) -> None:
    """Anything else is refused by its place."""
    with pytest.raises(ManifestInvalid, match=r"layers\[3\]"):
        parse_descriptor(document, "layers[3]")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("size", None),
        ("size", -1),
        ("size", 1.0),
        ("size", "7"),
        ("size", True),
        ("size", []),
        ("mediaType", 1),
        ("mediaType", ["a"]),
        ("digest", 1),
        ("artifactType", {}),
        ("urls", "https://example.com"),
        ("urls", [1]),
        ("annotations", []),
        ("annotations", {"a": 1}),
        ("annotations", {"a": None}),
        ("platform", "linux/amd64"),
        ("platform", []),
    ],
)
def test_a_member_of_a_wrong_kind_is_refused(member: str, value: Any) -> None:
    """The error names the member where it stands."""
    with pytest.raises(ManifestInvalid, match=rf"config\.{member}"):
        parse_descriptor({**WHOLE, member: value}, "config")


@pytest.mark.parametrize("digest", [None, "", "sha256:abc", "../../etc/passwd"])
def test_a_bad_digest_is_a_digest_error(digest: str | None) -> None:
    """It is told apart from a bad document."""
    with pytest.raises(DigestInvalid):
        parse_descriptor({**WHOLE, "digest": digest}, "config")


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*WHOLE, "x"]),
        st.one_of(
            st.none(),
            st.integers(),
            st.text(max_size=5),
            st.sampled_from(list(WHOLE.values())),
            st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
        ),
    )
)
def test_any_object_is_read_or_refused(document: dict[str, Any]) -> None:
    """Nothing else is raised, and what is read is written as it was."""
    try:
        descriptor = parse_descriptor(document, "x")
    except (ManifestInvalid, DigestInvalid):
        return
    for key, value in descriptor.to_json().items():
        assert document.get(key, "") == value


def test_annotations() -> None:
    """Strings by strings, or nothing at all."""
    assert parse_annotations(None, "x") is None
    assert parse_annotations({}, "x") == {}
    with pytest.raises(ManifestInvalid, match=r"x\.annotations"):
        parse_annotations([], "x")


def test_descriptors_of_one_content_are_equal() -> None:
    """They are values: compared by what they say, never changed."""
    one = Descriptor("a/b", DIGEST, 7)
    assert one == Descriptor("a/b", DIGEST, 7)
    with pytest.raises(AttributeError):
        one.size = 8  # type: ignore[misc]
