"""Names, tags, references and session ids: the grammars of the specification."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.digest import Digest
from flaskreg.driver import check_path
from flaskreg.errors import BlobUploadUnknown
from flaskreg.errors import DigestInvalid
from flaskreg.errors import NameInvalid
from flaskreg.errors import TagInvalid
from flaskreg.names import NAME_LENGTH
from flaskreg.names import make_session_id
from flaskreg.names import parse_name
from flaskreg.names import parse_reference
from flaskreg.names import parse_session_id
from flaskreg.names import parse_tag
from flaskreg.storage import paths


#: word for word the expressions of the OCI distribution specification.
NAME = (
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
    r"(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
)
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"

_modest = settings(max_examples=200, deadline=None)

#: text that is nearly a name.
_nearly = st.text(st.sampled_from("ab0._-/A\\ %\n\0é:"), max_size=12)


_words = st.text(st.sampled_from("abz09"), min_size=1, max_size=8)
_separators = st.sampled_from([".", "_", "__", "-", "--", "---", "/"])
_pieces = st.lists(st.tuples(_separators, _words), max_size=50)


@_modest
@given(_words, _pieces)
def test_names_of_the_grammar_are_taken(
    first: str, pieces: list[tuple[str, str]]
) -> None:
    """Up to the longest length, a name is taken as it is and can be a path."""
    name = first + "".join(separator + word for separator, word in pieces)
    assert re.fullmatch(NAME, name)
    if len(name) <= NAME_LENGTH:
        assert parse_name(name) == name
        assert check_path(paths.repository(name)).endswith(name)
    else:
        with pytest.raises(NameInvalid):
            parse_name(name)


@_modest
@given(st.one_of(st.text(max_size=30), _nearly))
def test_any_other_text_is_no_name(text: str) -> None:
    """Text is a name exactly when it follows the grammar."""
    if re.fullmatch(NAME, text):
        assert parse_name(text) == text
    else:
        with pytest.raises(NameInvalid):
            parse_name(text)


@pytest.mark.parametrize(
    "name",
    ["a", "0", "a/b/c/d", "a.b", "a_b", "a__b", "a-b", "a---b", "manifests/tags/list"],
)
def test_some_names(name: str) -> None:
    """What clients push is taken."""
    assert parse_name(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/../b",
        ".a",
        "a.",
        "a..b",
        "a___b",
        "a._b",
        "-a",
        "a-",
        "_a",
        "_catalog",
        "a/_uploads/b",
        "A",
        "a/B",
        "a b",
        "a\n",
        "a\0",
        "a\\b",
        "a%2fb",
        "host:5000/a",
        "a@b",
        "é",
        "\u0661",
        "a" * (NAME_LENGTH + 1),
        "a/" * 127 + "ab",
    ],
)
def test_what_is_no_name(text: str) -> None:
    """Nothing that means something to a file system or a URL is a name."""
    with pytest.raises(NameInvalid) as caught:
        parse_name(text)
    assert len(str(caught.value.detail)) < 400


def test_the_longest_name() -> None:
    """255 characters are taken."""
    name = "/".join(["a" * 63] * 4)
    assert len(name) == NAME_LENGTH == 255
    assert parse_name(name) == name


def test_a_giant_name_is_refused_at_once() -> None:
    """The expression is not tried on what is too long, nor does it backtrack."""
    for text in ("a" * 10_000_000, "a-" * 120 + "!", "a" * 250 + "!"):
        with pytest.raises(NameInvalid):
            parse_name(text)


@_modest
@given(st.one_of(st.from_regex(TAG, fullmatch=True), st.text(max_size=20), _nearly))
def test_tags(text: str) -> None:
    """Text is a tag exactly when it follows the grammar, and can be a path then."""
    if re.fullmatch(TAG, text):
        assert parse_tag(text) == text
        assert parse_reference(text) == text
        if text not in {".", ".."}:
            check_path(paths.tag_current("a", text))
    else:
        with pytest.raises(TagInvalid):
            parse_tag(text)


@pytest.mark.parametrize("text", ["", ".a", "-a", "a/b", "a:b", "a\n", "a" * 129, "ä"])
def test_what_is_no_tag(text: str) -> None:
    """A tag has 1 to 128 characters and begins with a letter, digit or underscore."""
    with pytest.raises(TagInvalid):
        parse_tag(text)


def test_references() -> None:
    """A colon makes it a digest, which is told by its type."""
    digest = Digest.of(b"")
    assert isinstance(parse_reference(digest), Digest)
    assert parse_reference(str(digest)) == digest
    assert not isinstance(parse_reference("latest"), Digest)
    for text in ("sha256:abc", "a:b", ":", f"{digest}x", f"sha512:{digest.encoded}"):
        with pytest.raises(DigestInvalid):
            parse_reference(text)


def test_session_ids() -> None:
    """They are UUIDs, each another, as distribution's purge wants them."""
    made = {make_session_id() for _ in range(100)}
    assert len(made) == 100
    for session_id in made:
        assert parse_session_id(session_id) == session_id == str(uuid.UUID(session_id))
        check_path(paths.upload_data("a", session_id))


@pytest.mark.parametrize("version", [1, 4, 7])
def test_sessions_of_distribution_have_ids(version: int) -> None:
    """Any version of a UUID is an id; distribution makes the fourth and seventh."""
    text = f"0189f1b0-0000-{version}000-8000-000000000000"
    assert parse_session_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "x" * 36,
        "0189f1b0-0000-4000-8000-00000000000",
        "0189F1B0-0000-4000-8000-000000000000",
        "0189f1b0000040008000000000000000",
        "{0189f1b0-0000-4000-8000-000000000000}",
        "urn:uuid:0189f1b0-0000-4000-8000-000000000000",
        "0189f1b0-0000-4000-8000-000000000000\n",
        "\u0661189f1b0-0000-4000-8000-000000000000",
        "/0189f1b0-0000-4000-8000-00000000000",
    ],
)
def test_what_is_no_session_id(text: str) -> None:
    """No such session can exist, so it is unknown; nothing else becomes a path."""
    with pytest.raises(BlobUploadUnknown):
        parse_session_id(text)
