"""The suites of manifest types and manifest options."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from unittest.mock import create_autospec

import pytest
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.digest import Digest
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import RegistryError
from flaskreg.errors import SeveralErrors
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestOption
from flaskreg.manifest import ManifestType
from flaskreg.services import Repository
from flaskreg.testing.abilities import lacks
from flaskreg.testing.abilities import needs


#: values that are wrong in most places of a manifest.
JUNK: tuple[Any, ...] = (None, True, -1, 1.5, "", "text", [], [1], [[]], {}, {"": 1})

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)

_examples = settings(
    max_examples=100,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


def parse(parser: ManifestType, content: bytes) -> Manifest:
    """Parse bytes as the registry does."""
    return parser.parse(content, json.loads(content), Digest.of(content))


def iter_descriptors(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what looks like a descriptor anywhere in a JSON value."""
    if isinstance(value, list):
        for member in value:
            yield from iter_descriptors(member)
    elif isinstance(value, dict):
        if {"mediaType", "digest", "size"} <= value.keys():
            yield value
        for member in value.values():
            yield from iter_descriptors(member)


class ManifestTypeTests:
    """Everything that the contract of manifest types promises.

    Override ``parser``, ``valid`` and ``invalid``.
    """

    #: whether a ``subject`` of the document is the manifest's subject.
    has_subject: bool = True

    @pytest.fixture
    def parser(self) -> ManifestType:
        """Return the manifest type under test. Override it."""
        raise NotImplementedError("override the fixture parser")

    @pytest.fixture
    def valid(self) -> Sequence[bytes]:
        """Return manifests of the type. Override it."""
        raise NotImplementedError("override the fixture valid")

    @pytest.fixture
    def invalid(self) -> Sequence[bytes]:
        """Return JSON objects that are no manifests of the type. Override it."""
        raise NotImplementedError("override the fixture invalid")

    def test_media_type(self, parser: ManifestType) -> None:
        """It is written as it is compared: in lower case, without parameters."""
        kind, _, name = parser.media_type.partition("/")
        assert kind
        assert name
        assert parser.media_type == parser.media_type.lower()
        assert not set(parser.media_type) & set(" ;,")

    def test_valid_manifests(
        self, parser: ManifestType, valid: Sequence[bytes]
    ) -> None:
        """A manifest keeps its exact bytes, its digest and its media type."""
        for content in valid:
            manifest = parse(parser, content)
            assert manifest.content == content
            assert manifest.digest == Digest.of(content)
            assert manifest.media_type == parser.media_type
            assert manifest.document == json.loads(content)
            assert manifest.descriptor.size == len(content)

    def test_the_digest_is_the_one_it_is_known_by(
        self, parser: ManifestType, valid: Sequence[bytes]
    ) -> None:
        """A manifest can be pushed by a digest of another algorithm."""
        for content in valid:
            digest = Digest.of(content, "sha512")
            assert parser.parse(content, json.loads(content), digest).digest == digest

    def test_references_are_complete(
        self, parser: ManifestType, valid: Sequence[bytes]
    ) -> None:
        """Whatever the document lists, the manifest lists, in its order."""
        for content in valid:
            document = json.loads(content)
            document.pop("subject", None)
            document.pop("annotations", None)
            wanted = [Digest(item["digest"]) for item in iter_descriptors(document)]
            manifest = parse(parser, content)
            listed = [item.digest for item in (*manifest.blobs, *manifest.manifests)]
            assert set(wanted) <= set(listed)
            if wanted:
                assert sorted(wanted, key=listed.index) == wanted

    def test_only_an_index_lists_manifests(
        self, parser: ManifestType, valid: Sequence[bytes]
    ) -> None:
        """The type says which of the two it is."""
        for content in valid:
            manifest = parse(parser, content)
            assert parser.index or not manifest.manifests

    @needs("has_subject")
    def test_subject(self, parser: ManifestType, valid: Sequence[bytes]) -> None:
        """The subject is told, and is none of the references."""
        digest = Digest.of(b"the subject")
        subject = {"mediaType": "application/x-test", "digest": digest, "size": 11}
        for content in valid:
            document = {**json.loads(content), "subject": subject}
            manifest = parse(parser, json.dumps(document).encode())
            assert manifest.subject is not None
            assert manifest.subject.digest == digest
            listed = (*manifest.blobs, *manifest.manifests)
            assert digest not in {item.digest for item in listed}
            del document["subject"]
            assert parse(parser, json.dumps(document).encode()).subject is None

    @lacks("has_subject")
    def test_no_subject(self, parser: ManifestType, valid: Sequence[bytes]) -> None:
        """A member of that name is refused, or is like any other unknown one."""
        digest = Digest.of(b"the subject")
        subject = {"mediaType": "application/x-test", "digest": digest, "size": 11}
        for content in valid:
            document = {**json.loads(content), "subject": subject}
            with contextlib.suppress(ManifestInvalid):
                manifest = parse(parser, json.dumps(document).encode())
                assert manifest.subject is None

    def test_unknown_members_are_kept(
        self, parser: ManifestType, valid: Sequence[bytes]
    ) -> None:
        """A member that the type does not know is no error and is not lost."""
        for content in valid:
            document = {**json.loads(content), "org.example.unknown": {"a": [1, None]}}
            extended = json.dumps(document, indent=1).encode()
            assert parse(parser, extended).content == extended

    def test_invalid_manifests(
        self, parser: ManifestType, invalid: Sequence[bytes]
    ) -> None:
        """They are refused by the errors that clients know."""
        for content in invalid:
            with pytest.raises((ManifestInvalid, DigestInvalid)):
                parse(parser, content)

    def test_junk_in_any_member(
        self, parser: ManifestType, valid: Sequence[bytes]
    ) -> None:
        """A member of a wrong kind is refused or ignored, and breaks nothing."""
        for content in valid:
            document = json.loads(content)
            for key in document:
                for junk in JUNK:
                    self._try(parser, {**document, key: junk})

    @given(document=st.dictionaries(st.text(), _json, max_size=4))
    @_examples
    def test_any_document(
        self, parser: ManifestType, document: dict[str, Any], valid: Sequence[bytes]
    ) -> None:
        """Any JSON object is parsed or refused."""
        self._try(parser, document)
        for content in valid:
            known = json.loads(content)
            for key, value in zip(known, document.values(), strict=False):
                self._try(parser, {**known, key: value})

    def _try(self, parser: ManifestType, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        try:
            manifest = parser.parse(content, document, Digest.of(content))
        except (ManifestInvalid, DigestInvalid) as error:
            json.dumps(error.entries())
        else:
            assert manifest.content == content


class ManifestOptionTests:
    """Everything that the contract of manifest options promises.

    Override ``option``, ``accepted`` and ``refused``, and ``repository`` when the
    option looks into it.
    """

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return the option under test. Override it."""
        raise NotImplementedError("override the fixture option")

    @pytest.fixture
    def repository(self) -> Repository:
        """Return the repository that is pushed to, by default an empty mock."""
        repository: Repository = create_autospec(Repository, instance=True)
        repository.name = "library/alpine"
        return repository

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return manifests that the option lets pass. Override it."""
        raise NotImplementedError("override the fixture accepted")

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return manifests that the option refuses; none when it only has effects."""
        raise NotImplementedError("override the fixture refused")

    def test_name(self, option: ManifestOption) -> None:
        """The configuration can write the option's name as a YAML key."""
        assert option.name
        assert not set(option.name) & set(" :#,[]{}")

    def test_accepted_manifests(
        self,
        option: ManifestOption,
        repository: Repository,
        accepted: Sequence[Manifest],
    ) -> None:
        """They pass, and pass again when they are pushed again."""
        for manifest in (*accepted, *accepted):
            option.before_put(repository, manifest)
            option.after_put(repository, manifest)

    def test_refused_manifests(
        self,
        option: ManifestOption,
        repository: Repository,
        refused: Sequence[Manifest],
    ) -> None:
        """They are refused by an error that is the client's, every time."""
        for manifest in (*refused, *refused):
            with pytest.raises(RegistryError) as caught:
                option.before_put(repository, manifest)
            assert 400 <= caught.value.status < 500
            assert json.dumps(caught.value.entries())
            if isinstance(caught.value, SeveralErrors):
                assert caught.value.errors

    def test_a_refusal_does_not_stay(
        self,
        option: ManifestOption,
        repository: Repository,
        accepted: Sequence[Manifest],
        refused: Sequence[Manifest],
    ) -> None:
        """One manifest's refusal is not the next one's."""
        for manifest in refused:
            with pytest.raises(RegistryError):
                option.before_put(repository, manifest)
        for manifest in accepted:
            option.before_put(repository, manifest)

    def test_warnings(
        self,
        option: ManifestOption,
        repository: Repository,
        accepted: Sequence[Manifest],
    ) -> None:
        """They are sentences that fit into a header, the same each time."""
        for manifest in accepted:
            warnings = list(option.warnings(repository, manifest))
            for sentence in warnings:
                assert sentence
                assert sentence.isascii()
                assert sentence.isprintable()
            assert list(option.warnings(repository, manifest)) == warnings

    def test_deletes(
        self,
        option: ManifestOption,
        repository: Repository,
        accepted: Sequence[Manifest],
    ) -> None:
        """A delete passes, or is refused by an error that is the client's."""
        statuses = []
        for manifest in accepted:
            try:
                option.before_delete(repository, manifest.digest)
            except RegistryError as error:
                statuses.append(error.status)
        assert all(400 <= status < 500 for status in statuses)
